"""A bad line to a broker: forwards TCP connections and cuts them on demand.

    forward = Forward()                       listens on forward.port
    Broker(forwards=[forward.port]); forward.target = node.forwarded
    forward.cut()                             every connection through it breaks, new ones are taken
"""

import selectors
import socket
import threading

PIECE = 1 << 16


class Forward:
    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target, self.cuts = None, 0
        self.lock, self.pairs = threading.Lock(), set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), 5)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.pairs.add((near, far))
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        """Until one side ends. A side that takes nothing holds the other up, which is what a slow line does."""
        try:
            with selectors.DefaultSelector() as ready:
                ready.register(near, selectors.EVENT_READ, far)
                ready.register(far, selectors.EVENT_READ, near)
                while True:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(PIECE)
                        if not data:
                            return
                        key.data.sendall(data)
        except (OSError, ValueError):
            pass  # cut
        finally:
            with self.lock:
                self.pairs.discard((near, far))
            near.close()
            far.close()

    def cut(self):
        """Breaks all connections, in the middle of whatever goes through them. Returns how many."""
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            for side in pair:
                try:
                    side.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self.cuts += len(pairs)
        return len(pairs)

    def close(self):
        self.listener.close()
        self.cut()
