#include "tests/support/cuda_shim/fiber.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SHIM_TSAN /* the program runs under ThreadSanitizer; this file and shim.c do not, see tests/CMakeLists.txt */
#include <sanitizer/tsan_interface.h>
#endif

enum { STACK_BYTES = 128 << 10, NO_SYNC = 1 };

/* A context is a stack pointer; what must be kept lies on the stack. Elsewhere than on x86-64 the C library's contexts do it,
 * which cost a system call a switch. */
#ifdef __x86_64__
typedef void *context;
void fiber_switch(context *from, context to); /* saves the running context in *from, goes on with to */
__asm__(".text\n"
        ".type fiber_switch, @function\n"
        "fiber_switch:\n"
        "    pushq %rbp\n pushq %rbx\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbx\n popq %rbp\n"
        "    ret\n"
        ".size fiber_switch, . - fiber_switch\n");
#else
#include <ucontext.h>
typedef ucontext_t context;
#endif

struct fiber {
    context here, caller;
    char *stack;
    void (*main)(void *arg);
    void *arg;
    bool done;
    /* What the sanitizers want to know: whose stack is in use. */
    void *own_fake, *caller_fake, *own_tsan, *caller_tsan;
    const void *caller_stack;
    size_t caller_bytes;
};

static void switch_to_fiber(struct fiber *f)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(&f->caller_fake, f->stack, STACK_BYTES);
#endif
#ifdef SHIM_TSAN
    f->caller_tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(f->own_tsan, NO_SYNC);
#endif
#ifdef __x86_64__
    fiber_switch(&f->caller, f->here);
#else
    swapcontext(&f->caller, &f->here);
#endif
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(f->caller_fake, NULL, NULL);
#endif
}

static void switch_to_caller(struct fiber *f)
{
#ifdef HAS_ASAN
    __sanitizer_start_switch_fiber(f->done ? NULL : &f->own_fake, f->caller_stack, f->caller_bytes);
#endif
#ifdef SHIM_TSAN
    __tsan_switch_to_fiber(f->caller_tsan, NO_SYNC);
#endif
#ifdef __x86_64__
    fiber_switch(&f->here, f->caller);
#else
    swapcontext(&f->here, &f->caller);
#endif
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(f->own_fake, &f->caller_stack, &f->caller_bytes);
#endif
}

static void begin(struct fiber *f)
{
#ifdef HAS_ASAN
    __sanitizer_finish_switch_fiber(NULL, &f->caller_stack, &f->caller_bytes);
#endif
    f->main(f->arg);
    f->done = true;
    switch_to_caller(f);
    abort(); /* a fiber that returned is not gone on with */
}

#ifdef __x86_64__
/* The first switch "returns" here, with the fiber in rbx. */
void fiber_begin(struct fiber *f);
void fiber_begin(struct fiber *f)
{
    begin(f);
}
void fiber_entry(void);
__asm__(".text\n"
        ".type fiber_entry, @function\n"
        "fiber_entry:\n"
        "    movq %rbx, %rdi\n"
        "    xorl %ebp, %ebp\n"
        "    call fiber_begin\n"
        "    ud2\n"
        ".size fiber_entry, . - fiber_entry\n");

static void prepare(struct fiber *f)
{
    uintptr_t *top = (uintptr_t *)(void *)(f->stack + STACK_BYTES);
    *--top = 0; /* so that fiber_entry begins as if it had been called */
    *--top = 0;
    *--top = (uintptr_t)fiber_entry;
    *--top = 0;            /* rbp */
    *--top = (uintptr_t)f; /* rbx */
    for (int i = 0; i < 4; i++)
        *--top = 0; /* r12 .. r15 */
    f->here = top;
}
#else
static void enter(unsigned high, unsigned low)
{
    begin((struct fiber *)(uintptr_t)((uint64_t)high << 32 | low));
}

static void prepare(struct fiber *f)
{
    getcontext(&f->here);
    f->here.uc_stack.ss_sp = f->stack;
    f->here.uc_stack.ss_size = STACK_BYTES;
    f->here.uc_link = NULL;
    makecontext(&f->here, (void (*)(void))enter, 2, (unsigned)((uint64_t)(uintptr_t)f >> 32), (unsigned)(uintptr_t)f);
}
#endif

struct fiber *fiber_make(void)
{
    struct fiber *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (f->stack == MAP_FAILED) {
        free(f);
        return NULL;
    }
#ifdef SHIM_TSAN
    f->own_tsan = __tsan_create_fiber(0);
#endif
    f->done = true;
    return f;
}

void fiber_free(struct fiber *f)
{
    if (!f)
        return;
#ifdef SHIM_TSAN
    __tsan_destroy_fiber(f->own_tsan);
#endif
    munmap(f->stack, STACK_BYTES);
    free(f);
}

void fiber_start(struct fiber *f, void (*main)(void *arg), void *arg)
{
#ifdef SHIM_TSAN
    if (!f->done) { /* it was left in the middle: what ThreadSanitizer knows of its calls is no longer true */
        __tsan_destroy_fiber(f->own_tsan);
        f->own_tsan = __tsan_create_fiber(0);
    }
#endif
    f->main = main;
    f->arg = arg;
    f->done = false;
    prepare(f);
}

bool fiber_run(struct fiber *f)
{
    switch_to_fiber(f);
    return f->done;
}

void fiber_yield(struct fiber *f)
{
    switch_to_caller(f);
}
