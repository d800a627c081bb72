"""What the CUDA compiler made of the kernels: every architecture, nothing spilled, no stack, wide loads. Needs no GPU."""

import ctypes
import os
import re
from pathlib import Path

import pytest

SOURCE = Path(os.environ.get("ASSAY_SOURCE") or Path(__file__).resolve().parents[2])
BUILD = Path(os.environ.get("ASSAY") or SOURCE / "build/release/assay").parent
KERNELS = sorted((SOURCE / "kernels/cuda").glob("*.cu"))
ARCHITECTURES = ["sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"]
REGISTERS_MOST = 128  # of a thread: with more, a block of 512 threads can't have company on a processor

pytestmark = pytest.mark.skipif(not (BUILD / "libassay-cuda.so").is_file(), reason="this build has no libassay-cuda.so (./dev setup --cuda)")


def compiled(source):
    """[(kernel, architecture, its lines)] of what ptxas said."""
    text = (BUILD / "cuda" / f"{source.stem}.ptxas").read_text()
    parts = re.split(r"Compiling entry function '(\w+)' for '(sm_\d+)'", text)
    return list(zip(parts[1::3], parts[2::3], parts[3::3]))


def names():
    """The kernels that are declared."""
    return {"cuda_" + n for n in re.findall(r"^CUDA_KERNEL\((\w+)\)", (SOURCE / "kernels/cuda/kernels.def").read_text(), re.M)}


def test_every_kernel_is_there_for_every_architecture():
    found = {}
    for source in KERNELS:
        for kernel, architecture, _ in compiled(source):
            found.setdefault(kernel, set()).add(architecture)
    assert set(found) == names()
    assert all(a == set(ARCHITECTURES) for a in found.values()), found


def test_nothing_is_spilled_and_no_stack_is_used():
    wrong = []
    for source in KERNELS:
        for kernel, architecture, lines in compiled(source):
            if "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" not in lines:
                wrong.append((kernel, architecture, re.findall(r"\d+ bytes [a-z ]+", lines)))
    assert wrong == []


def test_registers_leave_room_for_more_than_one_block():
    used = [(int(re.search(r"Used (\d+) registers", lines)[1]), kernel, architecture)
            for source in KERNELS for kernel, architecture, lines in compiled(source)]
    print("registers:", max(used), "at most")
    assert max(used)[0] <= REGISTERS_MOST


def test_nodes_are_read_by_one_wide_load():
    """A struct of 8 or 16 bytes can become two loads; what is read per node must be one."""
    narrow = []
    for kernel, body in re.findall(r"\.entry (cuda_\w+)\((.*?)\n}", "".join((BUILD / "cuda" / f"{s.stem}.ptx").read_text() for s in KERNELS), re.S):
        if not kernel.startswith("cuda_forest"):
            continue
        wide = r"ld\.global\.nc[\w.:]*\.v2\.(u32|b32|f32)|ld\.global\.nc[\w.:]*\.[ub]64" if "_n8_" in kernel else r"ld\.global\.nc[\w.:]*\.v4\.(u32|b32|f32)|ld\.global\.nc[\w.:]*\.v2\.[ubf]64"
        if not re.search(wide, body):
            narrow.append(kernel)
    assert narrow == []


def test_the_module_loads_without_a_driver():
    """No CUDA library is linked, and one function is exported."""
    library = ctypes.CDLL(str(BUILD / "libassay-cuda.so"))
    assert library.assay_cuda_module
    with pytest.raises(AttributeError):
        library.cudaLaunchKernel
