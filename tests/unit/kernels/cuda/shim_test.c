/*
 * The shim finds what a GPU leaves undefined: kernels with one mistake each, and our own kernels with one barrier less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernels/cuda/kernels.h"
#include "model/forest.h"
#include "model/network.h"
#include "tests/support/cuda_shim/compute.h"
#include "tests/support/cuda_shim/shim.h"
#include "tests/support/forest_make.h"
#include "tests/support/network_make.h"

enum { THREADS = 64, RACE_FOUND = 66 /* ThreadSanitizer's exit code */, NOTHING_FOUND = 0, WRONG_BITS = 1 };

#define SEEDED(name) void seeded_##name(struct cuda_args args)
SEEDED(right);
SEEDED(missing_barrier);
SEEDED(divergent_barrier);
SEEDED(two_barriers);
SEEDED(divergent_shuffle);
SEEDED(overrun);
SEEDED(early_read);

struct numbers {
    uint32_t in[THREADS], out[THREADS];
};

static enum status run(cuda_function kernel, struct numbers *numbers, struct error *err)
{
    const struct cuda_args args = {.image = numbers->in, .margins = numbers->out};
    for (uint32_t i = 0; i < THREADS; i++)
        numbers->in[i] = 1000 + i;
    return shim_launch(kernel, &args, 1, THREADS, THREADS * sizeof(uint32_t), err);
}

static bool handed_across(const struct numbers *numbers)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        if (numbers->out[i] != numbers->in[THREADS - 1 - i])
            return false;
    }
    return true;
}

static void a_right_kernel_runs(void **state)
{
    (void)state;
    struct numbers numbers;
    struct error err;
    assert_int_equal(run(seeded_right, &numbers, &err), STATUS_OK);
    assert_true(handed_across(&numbers));
}

static void refuses(cuda_function kernel, const char *why)
{
    struct numbers numbers;
    struct error err;
    assert_int_equal(run(kernel, &numbers, &err), STATUS_INVALID);
    if (!strstr(err.message, why))
        fail_msg("'%s' does not say '%s'", err.message, why);
    assert_int_equal(run(seeded_right, &numbers, &err), STATUS_OK); /* it was left in the middle, which hurts nobody */
}

static void a_divergent_barrier_is_named(void **state)
{
    (void)state;
    refuses(seeded_divergent_barrier, "divergent __syncthreads in block 0: thread 0 waits at seeded.cu:");
    refuses(seeded_divergent_barrier, "thread 40 has ended");
    refuses(seeded_two_barriers, "thread 40 waits at seeded.cu:");
}

static void a_divergent_shuffle_is_named(void **state)
{
    (void)state;
    refuses(seeded_divergent_shuffle, "divergent warp in block 0: thread 0 waits at seeded.cu:");
    refuses(seeded_divergent_shuffle, "thread 5 has ended");
}

static void writes_past_shared_memory_are_found(void **state)
{
    (void)state;
    refuses(seeded_overrun, "past its 256 bytes of shared memory");
}

static void what_is_on_its_way_is_not_there_yet(void **state)
{
    (void)state;
    struct numbers numbers;
    struct error err;
    assert_int_equal(run(seeded_early_read, &numbers, &err), STATUS_OK);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_not_equal(numbers.out[i], numbers.in[i]);
}

/* Runs this program anew with one argument or two, as ThreadSanitizer ends the process that it finds a race in; returns the
 * exit code. */
static int in_a_child(const char *what, const char *more)
{
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY); /* what it reports is no news here */
        (void)dup2(null, STDERR_FILENO);
        (void)execl("/proc/self/exe", "shim", what, more, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int hand_across(cuda_function kernel)
{
    struct numbers numbers;
    struct error err;
    return run(kernel, &numbers, &err) == STATUS_OK && handed_across(&numbers) ? NOTHING_FOUND : WRONG_BITS;
}

static void a_missing_barrier_is_found(void **state)
{
    (void)state;
    assert_int_equal(in_a_child("right", NULL), NOTHING_FOUND);
    assert_int_equal(in_a_child("missing barrier", NULL), SHIM_FINDS_RACES ? RACE_FOUND : WRONG_BITS);
}

/* --- our own kernels ---------------------------------------------------------------------------------------------------- */

enum { ROWS = 40, FORESTS = 2, NETWORKS = 12, MODELS = FORESTS + NETWORKS };

struct subject {
    struct forest *forest;
    struct network *network;
    struct cuda_model *model;
    struct rows rows;
};

static struct subject subject_make(uint32_t number)
{
    static const struct forest_recipe recipes[FORESTS] = {
        {.name = "one number a leaf", .features = 9, .outputs = 3, .trees = 100, .depth = 7},
        {.name = "several", .features = 5, .outputs = 2, .trees = 70, .depth = 5, .vector_leaves = true, .sum_type = NUMBER_F64},
    };
    struct subject s = {0};
    struct error err;
    if (number < FORESTS) {
        s.forest = forest_make(&recipes[number], number);
        forest_make_rows(s.forest, ROWS, number, &s.rows);
    } else {
        s.network = network_make(number);
        network_make_rows(s.network, ROWS, false, number, &s.rows);
    }
    if (cuda_model_make_of(s.forest, s.network, &s.model, &err) != STATUS_OK)
        s.model = NULL; /* a network with forests inside */
    return s;
}

static void subject_free(struct subject *s)
{
    cuda_model_free(s->model);
    if (s->forest)
        forest_free(s->forest);
    if (s->network)
        network_free(s->network);
    free((void *)(uintptr_t)s->rows.base);
}

/* Every kernel on every subject, on a device so small that blocks take several tiles. */
static int run_all(void)
{
    static const struct cuda_limits small = {.multiprocessors = 1, .shared_block_bytes = 227 << 10, .shared_multiprocessor_bytes = 228 << 10};
    int result = NOTHING_FOUND;
    for (uint32_t m = 0; m < MODELS && result == NOTHING_FOUND; m++) {
        struct subject s = subject_make(m);
        struct cuda_launch launches[CUDA_LAUNCHES_MAX];
        struct error err;
        uint32_t n = s.model ? cuda_model_launches(s.model, &small, ROWS, launches) : 0;
        double *raw = calloc((size_t)ROWS * 1024, sizeof *raw);
        for (uint32_t i = 0; i < n && result == NOTHING_FOUND; i++) {
            if (launches[i].block <= 256 && shim_compute(s.model, &launches[i], &s.rows, NULL, ROWS, raw, &err) != STATUS_OK)
                result = WRONG_BITS;
        }
        free(raw);
        subject_free(&s);
    }
    return result;
}

static void every_barrier_of_our_kernels_is_needed(void **state)
{
    (void)state;
    struct shim_barrier barriers[64];
    assert_int_equal(run_all(), NOTHING_FOUND);
    assert_int_equal(in_a_child("without", "kernels/cuda/none:1"), NOTHING_FOUND);
    uint32_t n = shim_barriers(barriers, 64), ours = 0, missed = 0;
    if (!SHIM_FINDS_RACES) {
        (void)printf("SKIPPED the kernels with a barrier less: only ThreadSanitizer finds all of these\n");
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!strstr(barriers[i].file, "kernels/cuda/"))
            continue;
        char place[256];
        (void)snprintf(place, sizeof place, "%s:%d", barriers[i].file, barriers[i].line);
        int found = in_a_child("without", place);
        if (found != RACE_FOUND)
            print_error("without the barrier at %s no race is found (exit code %d)\n", place, found);
        missed += found != RACE_FOUND;
        ours++;
    }
    (void)printf("%u barriers, each taken away: a race was found %u times\n", ours, ours - missed);
    assert_true(ours >= 8 && missed == 0);
}

static int run_child(const char *what, char *place)
{
    if (strcmp(what, "without") != 0)
        return hand_across(strcmp(what, "right") == 0 ? seeded_right : seeded_missing_barrier);
    char *line = strrchr(place, ':');
    *line++ = '\0';
    shim_remove_barrier(place, atoi(line));
    return run_all();
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return run_child(argv[1], argc > 2 ? argv[2] : NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_right_kernel_runs),
        cmocka_unit_test(a_divergent_barrier_is_named),
        cmocka_unit_test(a_divergent_shuffle_is_named),
        cmocka_unit_test(writes_past_shared_memory_are_found),
        cmocka_unit_test(what_is_on_its_way_is_not_there_yet),
        cmocka_unit_test(a_missing_barrier_is_found),
        cmocka_unit_test(every_barrier_of_our_kernels_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
