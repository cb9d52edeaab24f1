/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest.h"

#include <assert.h>
#include <stddef.h>

#include "nest.h"

static_assert(GUEST_CODE == 0x1000 && GUEST_PAGE == 0x2000, "the code below knows it");
static_assert(GUEST_STORE == 0 && GUEST_UPDATE == 1 && GUEST_CHECK == 2, "the code below knows it");
static_assert(GUEST_CALL == 3 && GUEST_NEST == 4, "the code below knows it");
static_assert(GUEST_PORT == 0x10 && GUEST_CALLED == 8, "the code below knows it");
static_assert(NEST_VMCB == 0x1000 && NEST_SAVE == 0x2000 && NEST_OUTER_TABLE == 0x4000,
	      "the code below knows it");
static_assert(offsetof(struct guest_page, op) == 16, "the code below knows it");
static_assert(offsetof(struct guest_page, steps) == 20, "the code below knows it");
static_assert(offsetof(struct guest_page, slowest) == 32, "the code below knows it");
static_assert(offsetof(struct guest_page, took) == 40, "the code below knows it");

/* esi: the address of the step; ebx: the word that belongs there; edi:ecx: when the step began. */
__asm__(".section .rodata\n"
	".code32\n"
	".set page, 0x2000\n"
	".set first, page\n"
	".set end, page + 4\n"
	".set stride, page + 8\n"
	".set generation, page + 12\n"
	".set op, page + 16\n"
	".set steps, page + 20\n"
	".set mismatches, page + 24\n"
	".set passes, page + 28\n"
	".set slowest, page + 32\n"
	".set took, page + 40\n"
	".globl guest_code, guest_code_end\n"
	"guest_code:\n"
	"	movl	$page + 0x1000, %esp\n"
	"	movl	first, %esi\n"
	"	cmpl	$4, op\n"
	"	je	nest\n"
	"step:	cmpl	end, %esi\n"
	"	jae	passed\n"
	"	movl	%esi, %ebx\n"
	"	xorl	generation, %ebx\n"
	"	rdtsc\n"
	"	movl	%eax, %ecx\n"
	"	movl	%edx, %edi\n"
	"	cmpl	$0, op\n"
	"	je	store\n"
	"	cmpl	$3, op\n"
	"	je	called\n"
	"	cmpl	(%esi), %ebx\n"
	"	je	right\n"
	"	incl	mismatches\n"
	"right:	cmpl	$2, op\n"
	"	je	timed\n"
	"	movl	generation, %ebx\n"
	"	incl	%ebx\n"
	"	xorl	%esi, %ebx\n"
	"store:	movl	%ebx, (%esi)\n"
	"timed:	rdtsc\n"
	"	subl	%ecx, %eax\n"
	"	sbbl	%edi, %edx\n"
	"	cmpl	slowest + 4, %edx\n"
	"	jb	next\n"
	"	ja	slower\n"
	"	cmpl	slowest, %eax\n"
	"	jbe	next\n"
	"slower:	movl	%eax, slowest\n"
	"	movl	%edx, slowest + 4\n"
	"next:	orl	$1, %eax\n"
	"	bsrl	%eax, %eax\n"
	"	incl	took(, %eax, 4)\n"
	"	incl	steps\n"
	"	addl	stride, %esi\n"
	"	jmp	step\n"
	"passed:	incl	passes\n"
	"	cmpl	$1, op\n"
	"	jne	done\n"
	"	incl	generation\n"
	"done:	outb	%al, $0x10\n"
	"	jmp	guest_code\n"
	/* A return. */
	"called: leal	8(%esi), %eax\n"
	"	movb	$0xc3, (%eax)\n"
	"	call	*%eax\n"
	"	jmp	timed\n"
	/* EFER.SVME, VM_HSAVE_PA, paging (KVM wants it), VMRUN; back from it interrupts are
	 * off until STGI. */
	"nest:	movl	$0xc0000080, %ecx\n"
	"	rdmsr\n"
	"	orl	$0x1000, %eax\n"
	"	wrmsr\n"
	"	movl	$0xc0010117, %ecx\n"
	"	leal	0x2000(%esi), %eax\n"
	"	xorl	%edx, %edx\n"
	"	wrmsr\n"
	"	leal	0x4000(%esi), %eax\n"
	"	movl	%eax, %cr3\n"
	"	movl	%cr0, %eax\n"
	"	xorl	$0x80000000, %eax\n"
	"	movl	%eax, %cr0\n"
	"	leal	0x1000(%esi), %eax\n"
	"	.byte	0x0f, 0x01, 0xd8\n"
	"	.byte	0x0f, 0x01, 0xdc\n"
	"	movl	%cr0, %eax\n"
	"	xorl	$0x80000000, %eax\n"
	"	movl	%eax, %cr0\n"
	"	jmp	passed\n"
	"guest_code_end:\n"
	".code64\n"
	".previous\n");
