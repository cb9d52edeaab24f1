/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest for a real VMM, where a whole Linux would be too much for nested emulation: it touches
 * its memory when told so on its first serial port, and would notice a lost write. A multiboot
 * kernel (qemu -kernel): it says `ready` and obeys a line at a time, of which the first letter
 * counts:
 *
 *   store    the next generation of words, one a page
 *   update   the same, each word checked before
 *   check    each word
 *   execute  nothing but a return, once in each 2 MiB
 *   loop     `ok` at once, then updates until the end of the pass in which the next line comes
 *   any other line, as `halt`: nothing
 *
 * Each is answered by `ok passes=N slowest=N mismatches=N`, and the last mismatch if there was one.
 * Passes and mismatches are since the start; slowest is of all words that were stored since the
 * last answer the one that took longest, in TICKS of the time-stamp counter. Between two lines the
 * processor is halted. What it touches begins at 4 MiB: the first blocks are code, ROM copies and
 * tables.
 */
#include <stdbool.h>
#include <stdint.h>

enum {
	COM1 = 0x3f8,
	LINE_STATUS = COM1 + 5,
	HAS_DATA = 1,
	CAN_SEND = 1 << 5,
	PIC_MASK = 0x21,
	COM1_IRQ = 4,
	BIOS_FIRST_VECTOR = 8, /* where the firmware has put IRQ 0 */
	PAGE = 4096,
	BLOCK = 2 << 20,
	FIRST = 4 << 20,
	BESIDE_WORD = 8,
	RET = 0xc3,
	TICKS = 1024,
};

/* Multiboot 0.6.96: magic, flags (memory sizes wanted), checksum. */
__attribute__((section(".multiboot"), used)) static const uint32_t multiboot[3] = {
	0x1badb002, 2, -(0x1badb002 + 2)};

/* A flat GDT: that of the loader need not last. awake ends the interrupt, and does nothing else. */
__asm__(".globl start\n"
	"start:	cli\n"
	"	movl	$stack_top, %esp\n"
	"	lgdt	gdt_register\n"
	"	ljmp	$8, $1f\n"
	"1:	movw	$16, %ax\n"
	"	movw	%ax, %ds\n"
	"	movw	%ax, %es\n"
	"	movw	%ax, %ss\n"
	"	pushl	%ebx\n"
	"	call	toy\n"
	"awake:	pushl	%eax\n"
	"	movb	$0x20, %al\n"
	"	outb	%al, $0x20\n"
	"	popl	%eax\n"
	"	iret\n"
	".balign 8\n"
	"gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff\n"
	"gdt_register: .word 23\n"
	"	.long gdt\n"
	".bss\n"
	".balign 16\n"
	"	.skip 4096\n"
	"stack_top:\n"
	".text\n");

extern const char awake[];

static uint32_t end, generation, passes, mismatches;
static uint64_t slowest; /* ticks */
static struct {
	uint32_t address, has, wants;
} last_mismatch;

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* ---- the serial port --------------------------------------------------------------------- */

/* The one interrupt: a byte has come. It only wakes. */
static void listen(void)
{
	static uint64_t idt[BIOS_FIRST_VECTOR + COM1_IRQ + 1];
	static struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) reg = {sizeof(idt) - 1, 0};
	uint32_t handler = (uint32_t)awake;

	idt[BIOS_FIRST_VECTOR + COM1_IRQ] = (uint64_t)(handler >> 16) << 48 |
					    UINT64_C(0x8e00) << 32 | 8 << 16 | (handler & 0xffff);
	reg.base = (uint32_t)idt;
	__asm__ volatile("lidt %0" : : "m"(reg));
	out8(COM1 + 2, 1);    /* FIFO */
	out8(COM1 + 4, 0x0b); /* DTR, RTS, OUT2: interrupts get out */
	out8(COM1 + 1, 1);    /* for data */
	out8(PIC_MASK, (uint8_t) ~(1 << COM1_IRQ));
}

static bool is_spoken_to(void)
{
	return in8(LINE_STATUS) & HAS_DATA;
}

static char hear(void)
{
	/* sti takes effect after hlt has begun: no byte gets lost between the look and the sleep.
	 */
	while (!is_spoken_to())
		__asm__ volatile("sti; hlt; cli");
	return (char)in8(COM1);
}

/* The first letter of a line. */
static char hear_line(void)
{
	char first = hear();

	for (char c = first; c != '\n'; c = hear())
		;
	return first;
}

static void say(const char *text)
{
	for (; *text; text++) {
		while (!(in8(LINE_STATUS) & CAN_SEND))
			;
		out8(COM1, (uint8_t)*text);
	}
}

static void say_number(uint32_t n)
{
	char text[11], *at = text + sizeof(text) - 1;

	*at = '\0';
	do
		*--at = (char)('0' + n % 10);
	while (n /= 10);
	say(at);
}

static void say_result(void)
{
	say("ok passes=");
	say_number(passes);
	say(" slowest=");
	say_number((uint32_t)(slowest / TICKS));
	slowest = 0;
	say(" mismatches=");
	say_number(mismatches);
	if (mismatches > 0) {
		say(" address=");
		say_number(last_mismatch.address);
		say(" has=");
		say_number(last_mismatch.has);
		say(" wants=");
		say_number(last_mismatch.wants);
	}
	say("\n");
}

/* ---- memory ------------------------------------------------------------------------------ */

static uint32_t word_of(uint32_t address)
{
	return address ^ generation;
}

static void check_word(uint32_t at)
{
	uint32_t has = *(volatile uint32_t *)at;

	if (has == word_of(at))
		return;
	last_mismatch.address = at;
	last_mismatch.has = has;
	last_mismatch.wants = word_of(at);
	mismatches++;
}

static void check(void)
{
	for (uint32_t at = FIRST; at < end; at += PAGE)
		check_word(at);
	passes++;
}

static uint64_t ticks(void)
{
	uint64_t value;

	__asm__ volatile("rdtsc" : "=A"(value) : : "memory");
	return value;
}

static void store(bool is_checked)
{
	for (uint32_t at = FIRST; at < end; at += PAGE) {
		uint64_t began = ticks(), took;

		if (is_checked)
			check_word(at);
		*(volatile uint32_t *)at = at ^ (generation + 1);
		took = ticks() - began;
		slowest = took > slowest ? took : slowest;
	}
	generation++;
	passes++;
}

static void execute(void)
{
	for (uint32_t at = FIRST + BESIDE_WORD; at < end; at += BLOCK) {
		*(volatile uint8_t *)at = RET;
		((void (*)(void))at)();
	}
}

static void obey(char command)
{
	switch (command) {
	case 's':
	case 'u':
		store(command == 'u');
		break;
	case 'c':
		check();
		break;
	case 'e':
		execute();
		break;
	case 'l':
		say("ok\n");
		while (!is_spoken_to())
			store(true);
		(void)hear_line();
		break;
	default:
		break;
	}
	say_result();
}

__attribute__((used, noreturn)) void toy(const uint32_t *multiboot_info)
{
	/* mem_upper: KiB above the first MiB. */
	end = (multiboot_info[2] + 1024) << 10;
	listen();
	say("ready\n");
	for (;;)
		obey(hear_line());
}
