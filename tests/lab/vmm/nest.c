/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "nest.h"

#include <string.h>

/* AMD64 Architecture Programmer's Manual, volume 2, appendix B: the layout of the VMCB. */
enum {
	INTERCEPTS_3 = 0x00c,
	INTERCEPTS_4 = 0x010,
	ASID = 0x058,
	EXIT_CODE = 0x070,
	NESTED_PAGING = 0x090,
	NESTED_CR3 = 0x0b0,
	ES = 0x400,
	CS = 0x410,
	SS = 0x420,
	DS = 0x430,
	EFER = 0x4d0,
	CR0 = 0x558,
	DR7 = 0x560,
	DR6 = 0x568,
	RFLAGS = 0x570,
	RIP = 0x578,
	PAT = 0x668,

	INTERCEPT_HLT = 1 << 24, /* of the third word */
	INTERCEPT_VMRUN = 1,	 /* of the fourth */
	EXIT_HLT = 0x78,
	HLT = 0xf4,
	FLAT_CODE = 0xc9b, /* present, 32 bits, 4 KiB granules, read, accessed */
	FLAT_DATA = 0xc93,
};

static void put(uint8_t *at, uint64_t value, size_t bytes)
{
	memcpy(at, &value, bytes);
}

static void put_segment(uint8_t *at, uint16_t selector, uint16_t attributes)
{
	put(at, selector, 2);
	put(at + 2, attributes, 2);
	put(at + 4, UINT32_MAX, 4);
	put(at + 8, 0, 8);
}

static void prepare_vmcb(uint8_t *vmcb, uint32_t gpa)
{
	memset(vmcb, 0, NEST_SAVE - NEST_VMCB);
	put(vmcb + INTERCEPTS_3, INTERCEPT_HLT, 4);
	put(vmcb + INTERCEPTS_4, INTERCEPT_VMRUN, 4);
	put(vmcb + ASID, 1, 4);
	put(vmcb + NESTED_PAGING, 1, 8);
	put(vmcb + NESTED_CR3, gpa + NEST_TABLE, 8);
	put_segment(vmcb + CS, 8, FLAT_CODE);
	put_segment(vmcb + ES, 16, FLAT_DATA);
	put_segment(vmcb + SS, 16, FLAT_DATA);
	put_segment(vmcb + DS, 16, FLAT_DATA);
	put(vmcb + EFER, 1 << 12, 8); /* SVME */
	put(vmcb + CR0, 0x11, 8);     /* protected mode */
	put(vmcb + DR7, 0x400, 8);
	put(vmcb + DR6, 0xffff0ff0, 8);
	put(vmcb + RFLAGS, 2, 8);
	put(vmcb + RIP, gpa + NEST_CODE, 8);
	put(vmcb + PAT, UINT64_C(0x0007040600070406), 8);
}

/* Every address is itself: 4 MiB pages with all rights, marked as accessed and written. */
static void prepare_table(uint8_t *table)
{
	for (uint32_t i = 0; i < 1024; i++)
		put(table + 4 * i, i << 22 | 0xe7, 4);
}

void nest_prepare(uint8_t *at, uint32_t gpa)
{
	prepare_table(at + NEST_TABLE);
	prepare_table(at + NEST_OUTER_TABLE);
	prepare_vmcb(at + NEST_VMCB, gpa);
	memset(at + NEST_SAVE, 0, NEST_CODE - NEST_SAVE);
	at[NEST_CODE] = HLT;
}

bool nest_has_halted(const uint8_t *at)
{
	uint64_t code;

	memcpy(&code, at + NEST_VMCB + EXIT_CODE, sizeof(code));
	return code == EXIT_HLT;
}
