/*
 * C11 threads by way of pthreads, linked into everything that is built with ThreadSanitizer and into nothing else.
 *
 * ThreadSanitizer follows pthread_create, pthread_mutex_lock and so on; glibc's thrd_create, mtx_lock and cnd_wait, which
 * librdkafka uses, go past it. A thread it has not seen born makes it crash, and locks it has not seen look like races.
 * The types are the same underneath: glibc's mtx_t, cnd_t and thrd_t are its pthread types in size and alignment.
 *
 * The suppression called_from_lib:librdkafka.so makes the sanitizer pass over all that librdkafka calls by itself, its
 * read-write locks too; so these go by way of here as well, where the call is ours.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

_Static_assert(sizeof(mtx_t) == sizeof(pthread_mutex_t) && sizeof(cnd_t) == sizeof(pthread_cond_t), "glibc's own layout");
_Static_assert(sizeof(thrd_t) == sizeof(pthread_t), "glibc's own layout");

struct start {
    thrd_start_t function;
    void *argument;
};

static void *run(void *context)
{
    struct start start = *(struct start *)context;
    free(context);
    return (void *)(intptr_t)start.function(start.argument);
}

static int result(int code)
{
    return code == 0 ? thrd_success : code == EBUSY ? thrd_busy : code == ETIMEDOUT ? thrd_timedout : thrd_error;
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    struct start *start = malloc(sizeof *start);
    if (!start)
        return thrd_nomem;
    *start = (struct start){.function = function, .argument = argument};
    int code = pthread_create(thread, NULL, run, start);
    if (code != 0)
        free(start);
    return result(code);
}

int thrd_join(thrd_t thread, int *out)
{
    void *value = NULL;
    int code = pthread_join(thread, &value);
    if (out)
        *out = (int)(intptr_t)value;
    return result(code);
}

int thrd_detach(thrd_t thread)
{
    return result(pthread_detach(thread));
}

/* glibc's once_flag and pthread_once_t are the same int. Two clients that are made at the same time set up the library once. */
void call_once(once_flag *flag, void (*function)(void))
{
    _Static_assert(sizeof(once_flag) == sizeof(pthread_once_t), "glibc's own layout");
    (void)pthread_once((pthread_once_t *)(void *)flag, function);
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attributes;
    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_settype(&attributes, type & mtx_recursive ? PTHREAD_MUTEX_RECURSIVE : PTHREAD_MUTEX_NORMAL);
    int code = pthread_mutex_init((pthread_mutex_t *)mutex, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return result(code);
}

void mtx_destroy(mtx_t *mutex)
{
    (void)pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int mtx_lock(mtx_t *mutex)
{
    return result(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return result(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return result(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

int cnd_init(cnd_t *condition)
{
    return result(pthread_cond_init((pthread_cond_t *)condition, NULL));
}

void cnd_destroy(cnd_t *condition)
{
    (void)pthread_cond_destroy((pthread_cond_t *)condition);
}

int cnd_signal(cnd_t *condition)
{
    return result(pthread_cond_signal((pthread_cond_t *)condition));
}

int cnd_broadcast(cnd_t *condition)
{
    return result(pthread_cond_broadcast((pthread_cond_t *)condition));
}

int cnd_wait(cnd_t *condition, mtx_t *mutex)
{
    return result(pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    return result(pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until));
}

/* The sanitizer's own function of this name, which comes after the program's. */
#define NEXT(function) ((int (*)(pthread_rwlock_t *))(uintptr_t)dlsym(RTLD_NEXT, #function))

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    return NEXT(pthread_rwlock_rdlock)(lock);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    return NEXT(pthread_rwlock_wrlock)(lock);
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    return NEXT(pthread_rwlock_unlock)(lock);
}
