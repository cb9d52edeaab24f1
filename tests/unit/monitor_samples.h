/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What QEMU 7.2.22 and 10.0.2 print for a q35 guest of two nodes of 128 MiB each, on memfds m0 and
 * m1; what does not matter is left out. */

#define RAMBLOCK_7_2                                                                             \
	"              Block Name    PSize              Offset               Used              " \
	"Total\r\n"                                                                              \
	"                      m0    4 KiB  0x0000000000000000 0x0000000008000000 "              \
	"0x0000000008000000\r\n"                                                                 \
	"                      m1    4 KiB  0x0000000008000000 0x0000000008000000 "              \
	"0x0000000008000000\r\n"                                                                 \
	"    /rom@etc/acpi/tables    4 KiB  0x0000000010080000 0x0000000000020000 "              \
	"0x0000000000200000\r\n"                                                                 \
	"                 pc.bios    4 KiB  0x0000000010000000 0x0000000000040000 "              \
	"0x0000000000040000\r\n"

#define RAMBLOCK_10                                                                              \
	"              Block Name    PSize              Offset               Used              " \
	"Total                HVA  RO\r\n"                                                       \
	"                      m0    4 KiB  0x0000000000000000 0x0000000008000000 "              \
	"0x0000000008000000 0x00007f858bfff000  rw\r\n"                                          \
	"                      m1    4 KiB  0x0000000008000000 0x0000000008000000 "              \
	"0x0000000008000000 0x00007f8583ffe000  rw\r\n"                                          \
	"    /rom@etc/acpi/tables    4 KiB  0x0000000010080000 0x0000000000020000 "              \
	"0x0000000000200000 0x00007f85da000000  ro\r\n"                                          \
	"                 pc.bios    4 KiB  0x0000000010000000 0x0000000000040000 "              \
	"0x0000000000040000 0x00007f85da600000  ro\r\n"

#define MTREE                                                                             \
	"FlatView #0\r\n"                                                                 \
	" AS \"I/O\", root: io\r\n"                                                       \
	" Root memory region: io\r\n"                                                     \
	"  0000000000000000-0000000000000007 (prio 0, i/o): dma-chan\r\n"                 \
	"\r\n"                                                                            \
	"FlatView #1\r\n"                                                                 \
	" AS \"cpu-smm-0\", root: memory\r\n"                                             \
	" Root memory region: memory\r\n"                                                 \
	"  0000000000000000-000000000009ffff (prio 0, ram): m1 @0000000000001000\r\n"     \
	"\r\n"                                                                            \
	"FlatView #2\r\n"                                                                 \
	" AS \"memory\", root: system\r\n"                                                \
	" AS \"cpu-memory-0\", root: system\r\n"                                          \
	" AS \"ich9-ahci\", root: bus master container\r\n"                               \
	" Root memory region: system\r\n"                                                 \
	"  0000000000000000-00000000000c2fff (prio 0, rom): m0\r\n"                       \
	"  00000000000c3000-00000000000e7fff (prio 0, rom): m0 @00000000000c3000\r\n"     \
	"  00000000000e8000-00000000000effff (prio 0, ram): m0 @00000000000e8000 KVM\r\n" \
	"  0000000000100000-0000000007ffffff (prio 0, ram): m0 @0000000000100000 KVM\r\n" \
	"  0000000008000000-000000000fffffff (prio -1, nv-ram): m1\r\n"                   \
	"  00000000febff000-00000000febfffff (prio 1, i/o): ahci\r\n"                     \
	"  00000000fee00000-00000000feefffff (prio 4096, i/o): apic-msi\r\n"              \
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"                  \
	"\r\n"

#define GPA2HVA_M0 "Host virtual address for 0xe8000 (m0) is 0x7fe2380e7000\r\n"
#define GPA2HVA_M1 "Host virtual address for 0x8000000 (m1) is 0x7fe22fffe000\r\n"
