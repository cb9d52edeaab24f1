/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "wire.h"

static union wire_message slots(uint32_t n)
{
	union wire_message m = {0};

	wire_seal(&m, WIRE_SLOTS, wire_slots_bytes(n), 0);
	m.slots.n = m.slots.total = n;
	for (uint32_t i = 0; i < n; i++)
		m.slots.slots[i] = (struct wire_slot){
			.gpa = i * 0x200000u,
			.bytes = 0x200000,
			.hva = 0x7f0000000000 + i * 0x200000u,
			.slot = (uint16_t)i,
		};
	return m;
}

static union wire_message fixed(enum wire_type type, size_t bytes)
{
	union wire_message m = {0};

	wire_seal(&m, type, bytes, 7);
	return m;
}

static const struct {
	enum wire_type type;
	size_t bytes;
	bool is_from_vmm;
} types[] = {
	{WIRE_HELLO, sizeof(struct wire_hello), true},
	{WIRE_VM, sizeof(struct wire_vm), true},
	{WIRE_VM_GONE, sizeof(struct wire_vm_gone), true},
	{WIRE_COUNTS, sizeof(struct wire_counts), true},
	{WIRE_NUDGED, sizeof(struct wire_nudged), true},
	{WIRE_WELCOME, sizeof(struct wire_welcome), false},
	{WIRE_COUNT, sizeof(struct wire_count), false},
	{WIRE_NUDGE, sizeof(struct wire_nudge), false},
};

static void a_message_passes_at_its_end_and_size_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		union wire_message m = fixed(types[i].type, types[i].bytes);

		assert_int_equal(wire_check(&m, types[i].bytes, types[i].is_from_vmm, NULL), 0);
		assert_int_equal(wire_check(&m, types[i].bytes, !types[i].is_from_vmm, NULL),
				 -EPROTO);
		assert_int_equal(wire_check(&m, types[i].bytes - 1, types[i].is_from_vmm, NULL),
				 -EPROTO);
		m.header.bytes++;
		assert_int_equal(wire_check(&m, types[i].bytes + 1, types[i].is_from_vmm, NULL),
				 -EPROTO);
	}
}

static void what_is_no_message_is_refused(void **state)
{
	(void)state;
	union wire_message m = fixed(WIRE_HELLO, sizeof(m.hello));
	const char *why;

	for (size_t n = 0; n < sizeof(m.header); n++)
		assert_int_equal(wire_check(&m, n, true, NULL), -EPROTO);
	assert_int_equal(wire_check(&m, SIZE_MAX, true, NULL), -EPROTO);
	m.header.version++;
	assert_int_equal(wire_check(&m, sizeof(m.hello), true, &why), -EPROTONOSUPPORT);
	assert_non_null(why);
	m = fixed(WIRE_HELLO, sizeof(m.hello));
	m.header.magic++;
	assert_int_equal(wire_check(&m, sizeof(m.hello), true, NULL), -EPROTO);
	for (unsigned type = 0; type < 200; type++) {
		m = fixed((enum wire_type)type, sizeof(m.header) + 8);
		if (type == WIRE_VM || type == WIRE_VM_GONE)
			continue;
		assert_int_equal(wire_check(&m, sizeof(m.header) + 8, true, NULL), -EPROTO);
	}
}

static void hello_is_text(void **state)
{
	(void)state;
	union wire_message m = fixed(WIRE_HELLO, sizeof(m.hello));

	memset(m.hello.library, 'a', sizeof(m.hello.library));
	assert_int_equal(wire_check(&m, sizeof(m.hello), true, NULL), -EPROTO);
	m.hello.library[sizeof(m.hello.library) - 1] = '\0';
	assert_int_equal(wire_check(&m, sizeof(m.hello), true, NULL), 0);
	m.hello.library[3] = '\033';
	assert_int_equal(wire_check(&m, sizeof(m.hello), true, NULL), -EPROTO);
}

static void a_table_comes_in_parts(void **state)
{
	(void)state;
	union wire_message m = slots(WIRE_SLOTS_MAX);
	size_t bytes = wire_slots_bytes(WIRE_SLOTS_MAX);

	assert_int_equal(wire_check(&m, bytes, true, NULL), 0);
	m.slots.total = WIRE_TABLE_MAX;
	m.slots.first = WIRE_TABLE_MAX - WIRE_SLOTS_MAX;
	assert_int_equal(wire_check(&m, bytes, true, NULL), 0);
	m.slots.first++;
	assert_int_equal(wire_check(&m, bytes, true, NULL), -EPROTO);
	m.slots.first = UINT32_MAX;
	assert_int_equal(wire_check(&m, bytes, true, NULL), -EPROTO);
	m.slots.first = 0;
	m.slots.total = WIRE_TABLE_MAX + 1;
	assert_int_equal(wire_check(&m, bytes, true, NULL), -EPROTO);
	m.slots.total = WIRE_TABLE_MAX;
	m.slots.n = UINT32_MAX / sizeof(struct wire_slot) + 2;
	assert_int_equal(wire_check(&m, bytes, true, NULL), -EPROTO);
	m.slots.n = WIRE_SLOTS_MAX - 1;
	assert_int_equal(wire_check(&m, bytes, true, NULL), -EPROTO);
	m = slots(0);
	assert_int_equal(wire_check(&m, wire_slots_bytes(0), true, NULL), 0);
	m.slots.total = 1;
	assert_int_equal(wire_check(&m, wire_slots_bytes(0), true, NULL), -EPROTO);
	m = slots(1);
	m.slots.vm = WIRE_VMS_MAX;
	assert_int_equal(wire_check(&m, wire_slots_bytes(1), true, NULL), -EPROTO);
}

static void a_slot_is_whole_pages_of_the_address_space(void **state)
{
	(void)state;
	static const struct wire_slot bad[] = {
		{.gpa = 0, .bytes = 0, .hva = 0x1000},
		{.gpa = 1, .bytes = 0x1000, .hva = 0x1000},
		{.gpa = 0, .bytes = 0x1001, .hva = 0x1000},
		{.gpa = 0, .bytes = 0x1000, .hva = 0x1800},
		{.gpa = UINT64_MAX - 0xfff, .bytes = 0x1000, .hva = 0x1000},
		{.gpa = 0, .bytes = 0x2000, .hva = UINT64_MAX - 0xfff},
		{.gpa = 0, .bytes = 0x1000, .hva = 0x1000, .flags = 1 << 3},
		{.gpa = 0, .bytes = 0x1000, .hva = 0x1000, .address_space = 2},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		union wire_message m = slots(2);

		m.slots.slots[1] = bad[i];
		if (wire_check(&m, wire_slots_bytes(2), true, NULL) != -EPROTO)
			fail_msg("bad slot %zu passed", i);
	}
}

static void answers_keep_their_laws(void **state)
{
	(void)state;
	union wire_message m = fixed(WIRE_NUDGED, sizeof(m.nudged));

	m.nudged.err = EINTR;
	assert_int_equal(wire_check(&m, sizeof(m.nudged), true, NULL), -EPROTO);
	m.nudged.result = WIRE_NUDGE_FAILED;
	assert_int_equal(wire_check(&m, sizeof(m.nudged), true, NULL), 0);
	m.nudged.err = -1;
	assert_int_equal(wire_check(&m, sizeof(m.nudged), true, NULL), -EPROTO);
	m.nudged.err = 0;
	assert_int_equal(wire_check(&m, sizeof(m.nudged), true, NULL), -EPROTO);
	m.nudged.result = WIRE_NUDGE_RESULT_MAX;
	assert_int_equal(wire_check(&m, sizeof(m.nudged), true, NULL), -EPROTO);
	m = fixed(WIRE_NUDGE, sizeof(m.nudge));
	m.nudge.start = UINT64_MAX;
	assert_int_equal(wire_check(&m, sizeof(m.nudge), false, NULL), 0);
	m.nudge.bytes = 1;
	assert_int_equal(wire_check(&m, sizeof(m.nudge), false, NULL), -EPROTO);
	m = fixed(WIRE_COUNTS, sizeof(m.counts));
	m.counts.pages_2m = 1;
	assert_int_equal(wire_check(&m, sizeof(m.counts), true, NULL), 0);
	m.counts.err = ENOENT;
	assert_int_equal(wire_check(&m, sizeof(m.counts), true, NULL), -EPROTO);
	m.counts.pages_2m = 0;
	assert_int_equal(wire_check(&m, sizeof(m.counts), true, NULL), 0);
	m.counts.err = 4096;
	assert_int_equal(wire_check(&m, sizeof(m.counts), true, NULL), -EPROTO);
	m = fixed(WIRE_COUNT, sizeof(m.count));
	m.count.vm = WIRE_VMS_MAX;
	assert_int_equal(wire_check(&m, sizeof(m.count), false, NULL), -EPROTO);
	m = fixed(WIRE_VM, sizeof(m.vm));
	m.vm.flags = WIRE_VM_FLAGS + 1;
	assert_int_equal(wire_check(&m, sizeof(m.vm), true, NULL), -EPROTO);
	m = fixed(WIRE_VM_GONE, sizeof(m.vm_gone));
	m.vm_gone.reserved = 1;
	assert_int_equal(wire_check(&m, sizeof(m.vm_gone), true, NULL), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_passes_at_its_end_and_size_only),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(hello_is_text),
		cmocka_unit_test(a_table_comes_in_parts),
		cmocka_unit_test(a_slot_is_whole_pages_of_the_address_space),
		cmocka_unit_test(answers_keep_their_laws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
