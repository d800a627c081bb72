#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/import/protobuf.h"

#define OF(text) protobuf_of(text, sizeof(text) - 1)

static void reads_every_wire_type(void **state)
{
    (void)state;
    struct protobuf p = OF("\x08\x96\x01"
                           "\x11\x01\x02\x03\x04\x05\x06\x07\x08"
                           "\x1a\x03"
                           "abc"
                           "\x25\xff\x00\x00\x80");
    struct protobuf_field f;
    assert_true(protobuf_next(&p, &f));
    assert_true(f.number == 1 && f.wire == PROTOBUF_VARINT && f.value == 150);
    assert_true(protobuf_next(&p, &f));
    assert_true(f.number == 2 && f.wire == PROTOBUF_FIXED64 && f.value == 0x0807060504030201);
    assert_true(protobuf_next(&p, &f));
    assert_true(f.number == 3 && span_equal(f.bytes, "abc", 3));
    assert_true(protobuf_next(&p, &f));
    assert_true(f.number == 4 && f.wire == PROTOBUF_FIXED32 && f.value == 0x800000ff);
    assert_false(protobuf_next(&p, &f));
    assert_false(p.damaged);
}

static void packed_numbers(void **state)
{
    (void)state;
    struct protobuf p = OF("\x00\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    uint64_t value;
    assert_true(protobuf_varint(&p, &value) && value == 0);
    assert_true(protobuf_varint(&p, &value) && value == 127);
    assert_true(protobuf_varint(&p, &value) && value == UINT64_MAX);
    assert_false(protobuf_varint(&p, &value));
    assert_false(p.damaged);
}

static void damage_is_no_end(void **state)
{
    (void)state;
    struct protobuf damaged[] = {
        OF("\x08"),                                             /* no value */
        OF("\x08\x80"),                                         /* a varint cut */
        OF("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),     /* 65 bits */
        OF("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), /* eleven bytes */
        OF("\x0a\x04"
           "abc"),                                          /* longer than what is left */
        OF("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* much longer */
        OF("\x0d\x01\x02\x03"),                             /* four bytes cut */
        OF("\x09\x01\x02\x03\x04\x05\x06\x07"),             /* eight bytes cut */
        OF("\x0b"),                                         /* a group */
        OF("\x0f\x00"),                                     /* no wire type 7 */
        OF("\x00\x00"),                                     /* field 0 */
    };
    for (size_t i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        struct protobuf_field f;
        const char *start = damaged[i].at;
        assert_false(protobuf_next(&damaged[i], &f));
        assert_true(damaged[i].damaged);
        assert_ptr_equal(damaged[i].at, start);
        assert_false(protobuf_next(&damaged[i], &f)); /* and it stays so */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_wire_type),
        cmocka_unit_test(packed_numbers),
        cmocka_unit_test(damage_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
