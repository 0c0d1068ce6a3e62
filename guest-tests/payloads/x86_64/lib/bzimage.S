/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layout of a bzImage (Documentation/x86/boot.rst): a boot sector, one setup sector, and the
 * part that is loaded at 1 MiB, with its 64-bit entry at offset 0x200. A loader that uses this
 * entry needs only the header from the first two.
 */
	.section .setup, "a"
setup:
	.org	0x1f1
	.byte	1			/* setup_sects */
	.word	0
	.long	paragraphs		/* syssize, of 16 bytes */
	.word	0, 0, 0
	.word	0xaa55			/* boot_flag */
	.byte	0xeb, header_end - 0x202 - setup /* a jump over the header: gives its end */
	.ascii	"HdrS"
	.word	0x20f			/* version of the protocol */
	.long	0
	.word	0, 0
	.byte	0			/* type_of_loader: for the loader to fill in */
	.byte	1			/* loadflags: LOADED_HIGH */
	.word	0
	.long	0x100000		/* code32_start */
	.long	0, 0			/* ramdisk_image, ramdisk_size */
	.long	0
	.word	0
	.byte	0, 0
	.long	0			/* cmd_line_ptr */
	.long	0x7fffffff		/* initrd_addr_max */
	.long	0x200000		/* kernel_alignment */
	.byte	0			/* relocatable_kernel: no */
	.byte	21			/* min_alignment */
	.word	1			/* xloadflags: XLF_KERNEL_64 */
	.long	63			/* cmdline_size */
	.long	0
	.quad	0
	.long	0, 0
	.quad	0
	.quad	0x100000		/* pref_address */
	.long	memory_needed	/* init_size */
	.long	0
header_end:
	.org	1024

	.section .text.bzimage, "ax"
	.org	0x200			/* followed by _start of start.S */
	.section .note.GNU-stack, "", @progbits
