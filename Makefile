# SPDX-License-Identifier: Apache-2.0
# One makefile, no recursion. `make help` lists the targets.

.DEFAULT_GOAL := all
# What `make check` tests: both architectures, or only one if the build is specified.
said := $(foreach v,ARCH O BUILD CC CROSS_COMPILE CFLAGS LDFLAGS KINGLET, \
	$(filter-out undefined default,$(origin $(v))))
ARCH ?= $(shell uname -m)
check_archs := $(if $(strip $(said)),$(ARCH),$(ARCH) $(if $(filter x86_64,$(ARCH)),aarch64))
BUILD ?= release
cross := $(filter-out $(shell uname -m),$(ARCH))
O ?= build$(if $(filter release,$(BUILD)),,-$(BUILD))$(cross:%=/%)
CROSS_COMPILE ?= $(cross:%=%-linux-gnu-)
ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(BUILD)),clang,$(CROSS_COMPILE)gcc)
endif
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0
Q := $(if $(V),,@)

# For another architecture, next to the folder of its objects: build/kinglet-aarch64.
bin := $(if $(cross),$(patsubst %/$(cross),%,$(O))/kinglet-$(cross),$(O)/kinglet)

# --- Flags -------------------------------------------------------------------------------------
warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wwrite-strings -Wvla -Wundef -Werror
hardening := -fPIE -fstack-protector-strong -fno-strict-aliasing -fno-common
common := -std=gnu17 -D_GNU_SOURCE -Iinclude -pthread $(warnings) $(hardening)

# For size: only debuggers unwind, by -g; unused functions are left out; and relative relocations,
# of which tables of strings have many, take one bit each if the linker supports that.
cflags_release := -O2 -g -D_FORTIFY_SOURCE=2 -fno-asynchronous-unwind-tables \
	-fno-unwind-tables -ffunction-sections -fdata-sections
ldflags_release_x86_64 := -Wl,-z,pack-relative-relocs
ldflags_release := -Wl,--gc-sections $(ldflags_release_$(ARCH))
cflags_debug := -O0 -g3
cflags_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined
# gcc warns about each fence that it does not model.
cflags_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread \
	$(if $(findstring clang,$(CC)),,-Wno-tsan)
cflags_cov := -O0 -g --coverage
cflags_fuzz := $(cflags_asan) -fsanitize=fuzzer-no-link
ldflags_asan := -fsanitize=address,undefined
ldflags_tsan := -fsanitize=thread
ldflags_cov := --coverage
ldflags_fuzz := $(ldflags_asan) -fsanitize=fuzzer-no-link
ifeq ($(origin cflags_$(BUILD)),undefined)
$(error BUILD=$(BUILD) is unknown; allowed: release debug asan tsan cov fuzz)
endif

CFLAGS ?=
LDFLAGS ?=
all_cflags = $(common) $(cflags_$(BUILD)) -DKINGLET_VERSION='"$(VERSION)"' $(CFLAGS)
all_ldflags = -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(ldflags_$(BUILD)) $(LDFLAGS)
libs = -luring -lcjson $(libs_$(ARCH))
libs_aarch64 := -lfdt -lz -lzstd
packages_aarch64 := libfdt-dev zlib1g-dev libzstd-dev

# --- Another architecture: its libraries come from a folder (tests/debs), its programs run on QEMU
ifneq ($(cross),)
sysroot := $(shell tests/debs $(ARCH) sysroot)
sysroot_packages := libc6-dev libcmocka-dev liburing-dev libcjson-dev $(packages_$(ARCH))
sysroot_ready := $(sysroot)/.packages
sysroot_flag := --sysroot=$(sysroot)
all_cflags += $(sysroot_flag)
all_ldflags += $(sysroot_flag)
export RUNNER := qemu-$(ARCH)-static -L $(sysroot)

$(sysroot_ready): Makefile
	$(Q)tests/need gcc-$(ARCH)-linux-gnu
	$(Q)tests/debs $(ARCH) sysroot $(sysroot_packages) >/dev/null && touch $@
endif

# --- Sources: one layer a line, lowest first ---------------------------------------------------
src_base := $(wildcard vmm/base/*.c)
src_core := $(wildcard vmm/core/*.c)
src_arch := $(wildcard arch/common/*.c arch/$(ARCH)/*.c)
asm_arch := $(wildcard arch/$(ARCH)/*.S)
src_devices := $(wildcard devices/*.c devices/*/*.c)
src_machine := $(wildcard vmm/machine/*.c)
src_tools := $(wildcard $(addprefix vmm/,guestlog/*.c trace/*.c gdb/*.c control/*.c cli/*.c cmd/*.c cmd/*/*.c))
main_src := vmm/cmd/main.c

# Everything but main(), for the unit tests to link with. A name that ends in _ARCH is of that one.
others := $(filter-out $(ARCH),x86_64 aarch64)
of_arch = $(filter-out $(main_src) $(addprefix %_,$(addsuffix .c,$(others))),$(1))
engine_src := $(call of_arch,$(src_base) $(src_core) $(src_arch) $(src_devices) $(src_machine))
lib_src := $(engine_src) $(call of_arch,$(src_tools))

# What `kinglet exec` starts in a guest, and the object that carries it.
exec_init := $(O)/exec-init
exec_init_src := guest/$(ARCH)/start.S $(wildcard guest/*.c)
exec_init_object := $(O)/obj/vmm/cmd/exec/guest_init.o

objects = $(patsubst %,$(O)/obj/%.o,$(basename $(1)))
lib := $(O)/libkinglet.a
engine := $(O)/libengine.a

# --- Binary ------------------------------------------------------------------------------------
.PHONY: all
all: $(bin) ## build/kinglet (the default)

$(bin): $(call objects,$(main_src)) $(lib)
	@echo "  LD      $@"
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(libs)

$(lib): $(call objects,$(lib_src) $(asm_arch)) $(exec_init_object)
$(engine): $(call objects,$(engine_src) $(asm_arch))
$(lib) $(engine):
	@echo "  AR      $@"
	$(Q)rm -f $@ && $(CROSS_COMPILE)ar rcs $@ $^

$(O)/obj/%.o: %.c $(O)/flags | $(sysroot_ready)
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<

# Code that runs once, or for interactive use, need not be fast: in a release it is optimised for
# size.
small := $(addprefix vmm/,cli/% cmd/% control/% gdb/% guestlog/% machine/% trace/page% trace/trace_r% \
	trace/trace_facts core/state core/kvm) arch/common/% arch/$(ARCH)/% devices/%/kind
ifeq ($(BUILD),release)
$(small:%=$(O)/obj/%.o): private CFLAGS += -Os
# Each exit passes here.
$(O)/obj/arch/$(ARCH)/exit.o: private CFLAGS += -O2
endif

$(O)/obj/%.o: %.S $(O)/flags | $(sysroot_ready)
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -MMD -MP -c -o $@ $<

# Static and without a C library: fourteen kilobytes, and a fast start.
exec_init_cflags := -std=gnu17 -D_GNU_SOURCE -Os $(warnings) -ffreestanding -fno-pic -fno-pie \
	-fno-stack-protector -fno-asynchronous-unwind-tables $(sysroot_flag)
exec_init_ldflags := -static -nostdlib -s -Wl,--build-id=none -Wl,-z,noexecstack

$(exec_init): $(exec_init_src) $(wildcard guest/*.h) $(O)/flags | $(sysroot_ready)
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(exec_init_cflags) $(exec_init_ldflags) -o $@ $(exec_init_src)

$(exec_init_object): vmm/cmd/exec/guest_init.S $(exec_init)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_cflags) -DGUEST_INIT='"$(exec_init)"' -c -o $@ $<

# Rebuild everything when the compiler or a flag changes.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(all_cflags)) $(all_ldflags)' | cmp -s - $@ || \
		echo '$(CC) $(subst ','\'',$(all_cflags)) $(all_ldflags)' > $@
.PHONY: FORCE
FORCE:

# --- Unit tests: one program for each tests/LAYER/test_*.c, and those of one architecture --------
test_src := $(wildcard tests/*/test_*.c tests/*/$(ARCH)/test_*.c)
test_support := $(call of_arch,$(wildcard tests/support/*.c))
test_bins := $(patsubst tests/%.c,$(O)/tests/%,$(test_src))

$(O)/tests/%: $(O)/obj/tests/%.o $(call objects,$(test_support)) $(lib)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) -o $@ $^ -lcmocka $(libs)

# Linked without the tools.
$(O)/tests/machine/test_engine: $(O)/obj/tests/machine/test_engine.o $(engine)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) -o $@ $^ -lcmocka $(libs)

# Parts of exec's init, on this machine's system calls.
$(O)/tests/guest/test_unpack: $(O)/obj/guest/unpack.o $(O)/obj/guest/text.o
$(O)/tests/guest/test_renew: $(O)/obj/guest/renew.o $(O)/obj/guest/text.o

$(O)/obj/tests/%.o: private common += -Itests/support

# --- Fuzzing: one libFuzzer program for each tests/fuzz/fuzz_*.c, with BUILD=fuzz (clang) -------
fuzz_src := $(wildcard tests/fuzz/fuzz_*.c)
fuzz_support := $(addprefix tests/fuzz/,guest.c mutate.c quiet.c) \
	$(addprefix tests/support/,fake_daemon.c fake_sys.c fake_vhost.c pci_rig.c)
fuzz_bins := $(patsubst tests/%.c,$(O)/tests/%,$(fuzz_src))
fuzz_runs ?= 3000

$(O)/tests/fuzz/%: $(O)/obj/tests/fuzz/%.o $(call objects,$(fuzz_support)) $(lib)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) -fsanitize=fuzzer -o $@ $^ $(libs)

.PHONY: check-fuzz
ifeq ($(BUILD),fuzz)
# tests/fuzz/seeds/TARGET/ has the initial inputs of a target, in addition to the empty one.
check-fuzz: $(fuzz_bins) ## Fuzzers, seconds each, the same inputs each time; needs clang
	$(Q)for t in $(fuzz_bins); do \
		echo "  FUZZ    $$t"; \
		rm -rf $$t.corpus && mkdir $$t.corpus || exit 1; \
		cp tests/fuzz/seeds/$${t##*/}/* $$t.corpus 2>/dev/null; \
		$$t -runs=$(fuzz_runs) -seed=1 -max_len=1024 -timeout=20 -artifact_prefix=$$t- \
			$$t.corpus >$$t.log 2>&1 || { cat $$t.log; exit 1; }; \
	done
else
check-fuzz:
	$(Q)tests/need $(packages) clang
	$(Q)$(MAKE) --no-print-directory BUILD=fuzz check-fuzz
endif

# --- Bare-metal guests for tests/kvm/run -------------------------------------------------------
# payloads/X.c is for every architecture, payloads/ARCH/X.c and X.S for one of them, each also in
# lessons/. X.S becomes a flat binary that runs at any address; X.c a file for Linux's boot
# protocol, or on x86 for the protocols with a 32-bit entry.
payload_dir := guest-tests/payloads
payload_out := $(O)/payloads
payload_c32_x86_64 := pvh multiboot
payload_names = $(patsubst $(ARCH)/%,%,$(patsubst $(payload_dir)/%,%,$(basename $(wildcard \
	$(addprefix $(payload_dir)/,$(1) lessons/$(1) $(ARCH)/$(1) $(ARCH)/lessons/$(1))))))
payload_c := $(filter-out $(payload_c32_$(ARCH)),$(call payload_names,*.c))
payload_flat := $(call payload_names,*.S)
payload_suffix_x86_64 := .elf
payload_suffix_aarch64 := .img
payload_suffix := $(payload_suffix_$(ARCH))
payload_more_x86_64 := $(addsuffix .elf,$(payload_c32_x86_64)) linux.bzImage
payloads := $(addprefix $(payload_out)/,$(addsuffix $(payload_suffix),$(payload_c)) \
	$(addsuffix .bin,$(payload_flat)) $(payload_more_$(ARCH)))

payload_cflags_x86_64 := -fcf-protection=none -mno-red-zone -Wno-interrupt-service-routine
payload_cflags_aarch64 := -mstrict-align
payload_cflags := -std=gnu17 -O1 -I$(payload_dir)/lib -I$(payload_dir)/$(ARCH)/lib $(warnings) \
	-ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables \
	-mgeneral-regs-only $(payload_cflags_$(ARCH))
payload_ld := $(CROSS_COMPILE)ld -z noexecstack -z max-page-size=4096
payload_script_x86_64 := $(payload_dir)/x86_64/lib/payload.ld
payload_script_aarch64 := $(payload_dir)/aarch64/lib/image.ld
payload_script := $(payload_script_$(ARCH))
payload_link_x86_64 = $(call link_payload,$(1))
payload_link_aarch64 = $(call link_binary,$(1))
payload_lib32 := $(addprefix $(payload_out)/obj32/,x86_64/lib/start32.o lib/console.o)
payload_lib := $(patsubst $(payload_dir)/%,$(payload_out)/obj/%.o,$(basename $(wildcard \
	$(addprefix $(payload_dir)/,lib/*.c $(ARCH)/lib/*.c $(ARCH)/lib/start.S))))

.PHONY: payloads
payloads: $(payloads) ## Bare-metal guests, in build/payloads

define compile_payload
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) $(1) $(payload_cflags) -MMD -MP -c -o $@ $<
endef

define link_payload
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(payload_ld) -o $@ $(1) $(filter %.o,$^)
endef

# The memory contents, and the same with symbols.
define link_binary
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(payload_ld) -o $@.elf $(1) $(filter %.o,$^)
	$(Q)$(CROSS_COMPILE)objcopy -O binary $@.elf $@
endef

$(payload_out)/obj/%.o: $(payload_dir)/%.c $(O)/flags
	$(call compile_payload)
$(payload_out)/obj/%.o: $(payload_dir)/%.S $(O)/flags
	$(call compile_payload)
$(payload_out)/obj32/%.o: $(payload_dir)/%.c $(O)/flags
	$(call compile_payload,-m32)
$(payload_out)/obj32/%.o: $(payload_dir)/%.S $(O)/flags
	$(call compile_payload,-m32)

$(payload_out)/%.bin: $(payload_out)/obj/$(ARCH)/%.o
	$(call link_binary,-Ttext=0 -e _start)

$(payload_out)/linux.bzImage: $(addprefix $(payload_out)/obj/x86_64/,linux.o lib/bzimage.o) \
		$(payload_lib) $(payload_dir)/x86_64/lib/bzimage.ld
	$(call link_payload,--oformat binary -T $(payload_dir)/x86_64/lib/bzimage.ld)

$(patsubst %,$(payload_out)/%.elf,$(payload_c32_x86_64)): $(payload_out)/%.elf: \
		$(payload_out)/obj32/x86_64/%.o $(payload_lib32) $(payload_script_x86_64)
	$(call link_payload,-m elf_i386 -T $(payload_script_x86_64))

$(payload_out)/%$(payload_suffix): $(payload_out)/obj/$(ARCH)/%.o $(payload_lib) $(payload_script)
	$(call payload_link_$(ARCH),-T $(payload_script))
$(payload_out)/%$(payload_suffix): $(payload_out)/obj/%.o $(payload_lib) $(payload_script)
	$(call payload_link_$(ARCH),-T $(payload_script))

# --- For tests/kvm/run and a scenario: compare a machine after a reset with one after power-on, and
# one that was loaded with the one that was saved.
kvm_tools := $(addprefix $(O)/tests/kvm/,reset saved)
kvm_machine := $(call objects,tests/kvm/machine.c tests/kvm/reset_$(ARCH).c)

.PHONY: kvm-tools
kvm-tools: $(kvm_tools)

$(O)/tests/kvm/saved: $(call objects,tests/kvm/saved_$(ARCH).c)
$(kvm_tools): $(O)/tests/kvm/%: $(O)/obj/tests/kvm/%.o $(kvm_machine) $(lib)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) -o $@ $(filter %.o,$^) $(lib) $(libs)

.PHONY: check-kvm
check-kvm: all payloads lesson-tools kvm-tools ## Bare-metal guests, on this KVM or in the testbed
	$(Q)tests/run $(O) kvm

# --- What scenarios use inside guests: linked statically, one program a file --------------------
guest_tools := $(patsubst guest-tests/tools/%.c,$(O)/guest/%,$(wildcard guest-tests/tools/*.c))

.PHONY: guest-tools
guest-tools: $(guest_tools)

$(O)/guest/%: guest-tests/tools/%.c | $(sysroot_ready)
	@echo "  CC      $<"
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -D_GNU_SOURCE -O2 $(warnings) $(sysroot_flag) -static -o $@ $<

# --- vhost without KVM: an example, and a scenario ---------------------------------------------
direct_src := $(wildcard guest-tests/vhost-direct/*.c)

.PHONY: vhost-direct
vhost-direct: $(O)/vhost-direct ## Drives vhost from a process, with no guest (docs/vhost.md)

$(O)/vhost-direct: $(call objects,$(direct_src)) $(lib)
	@echo "  LD      $@"
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(libs)

# --- Lessons: docs/lessons, whose guests are among the payloads ---------------------------------
.PHONY: lesson-tools
lesson-tools: $(O)/lessons/dirty-log

.PHONY: lesson
lesson: all payloads lesson-tools ## One of the ten lessons: make lesson N=3 [ARCH=aarch64]
	$(Q)O=$(O) guest-tests/lesson '$(N)'

$(O)/obj/guest-tests/lessons/%.o: private common += -Iguest-tests/lessons/$(ARCH)

$(O)/lessons/%: $(O)/obj/guest-tests/lessons/%.o $(lib)
	@echo "  LD      $@"
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(libs)

# Debian packages needed to build and test.
packages := make acpica-tools device-tree-compiler python3 $(if $(cross), \
	gcc-$(cross)-linux-gnu qemu-user-static, \
	gcc libc6-dev libcmocka-dev liburing-dev libcjson-dev $(packages_$(ARCH)))

# Needed by the tests on a KVM and the lessons of this architecture.
bare_metal := payloads lesson-tools kvm-tools
# Parts that need a KVM or a testbed; each is a program that counts its tests (see tests/run).
parts := layers unit $(cross:%=kernel) install kvm $(if $(filter x86_64,$(ARCH)),page) guest

export ARCH

# Everything is built before anything is run; the counts of an architecture are added to the earlier
# ones.
.PHONY: check check-build check-run
check: ## All tests, for both architectures or ARCH=; ends with one line of counts
	$(Q)for arch in $(check_archs); do \
		$(MAKE) --no-print-directory ARCH=$$arch check-build || exit 1; \
	done
	$(Q)echo 0 0 >$(O)/counts; status=0; \
	for arch in $(check_archs); do \
		echo "--- $$arch"; before=$$(cat $(O)/counts); \
		COUNTS=$(abspath $(O)/counts) \
			$(MAKE) --no-print-directory ARCH=$$arch check-run || status=1; \
		[ "$$(cat $(O)/counts)" != "$$before" ] || \
			echo "$${before% *} $$(($${before#* } + 1))" >$(O)/counts; \
	done; \
	awk '{ print $$1 " passed, " $$2 " failed" }' $(O)/counts; exit $$status

check-build:
	$(Q)tests/need $(packages)
	$(Q)$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) \
		all $(bare_metal) guest-tools vhost-direct $(test_bins)

check-run:
	$(Q)tests/run $(O) $(parts)

.PHONY: check-unit
check-unit: ## Unit tests: seconds, neither KVM nor root
	$(Q)tests/need $(packages)
	$(Q)$(MAKE) --no-print-directory $(test_bins)
	$(Q)tests/run $(O) layers unit

.PHONY: demo
demo: ## Boot Debian's kernel to a shell, here or in an emulated host
	$(Q)tests/need $(packages)
	$(Q)$(MAKE) --no-print-directory all
	$(Q)O=$(O) guest-tests/demo

.PHONY: bench
bench: ## Kinglet beside QEMU; BENCH=boot, or any other of bench.d, for a part of it
	$(Q)tests/need $(packages)
	$(Q)$(MAKE) --no-print-directory all guest-tools
	$(Q)O=$(O) guest-tests/bench

.PHONY: screenshots
screenshots: all payloads ## A page of --explain=html as Chromium draws it, light and dark
	$(Q)tests/need chromium
	$(Q)O=$(O) guest-tests/screenshots

.PHONY: bench-watch
bench-watch: all payloads ## What --trace and --explain cost an exit, on this machine's KVM
	$(Q)O=$(O) guest-tests/bench-watch

.PHONY: check-layers
check-layers: $(lib) $(call objects,$(main_src)) ## Files use what their layer may, and form no circle
	$(Q)tests/check-layers
	$(Q)O=$(O) tests/check-circles
	$(Q)tools/size --check

.PHONY: size
size: all ## Code lines of engine and tools, what is longest, and the stripped binary
	$(Q)$(CROSS_COMPILE)strip -o $(O)/kinglet.stripped $(bin)
	$(Q)tools/size $(O)/kinglet.stripped

# --- Documentation that follows from the sources: options, completion, quoted lines --------------
docs_tool := $(O)/docs

$(docs_tool): $(call objects,tools/docs.c tools/docs_print.c) $(lib)
	@echo "  LD      $@"
	$(Q)$(CC) $(all_ldflags) -o $@ $^ $(libs)

$(O)/tests/cmd/test_docs: $(call objects,tools/docs_print.c)

.PHONY: man
man: $(docs_tool) ## Write the man page's options, the completion and the lines that pages quote anew
	$(Q)cp docs/kinglet.1 $(O)/kinglet.1
	$(Q)for part in commands options; do \
		$(docs_tool) $$part >$(O)/$$part.roff && \
		sed -i -e "/^\.\\\\\" $$part begin$$/r $(O)/$$part.roff" \
			-e "/^\.\\\\\" $$part begin$$/,/^\.\\\\\" $$part end$$/{/^\.\\\\\" $$part/!d}" \
			$(O)/kinglet.1 || exit 1; \
	done
	$(Q)cmp -s $(O)/kinglet.1 docs/kinglet.1 || cp $(O)/kinglet.1 docs/kinglet.1
	$(Q)$(docs_tool) completion >docs/kinglet.bash
	$(Q)tools/quotes --update

.PHONY: state-tables
state-tables: $(O)/tests/machine/test_state_tables ## Write tests/machine/stored/tables-ARCH anew
	$(Q)$(RUNNER) $< --write

# Of a machine; of arm64, whose devices are the same, only what KVM has of it.
stored_by_x86_64 := machine/x86_64/test_stored
stored_by_aarch64 := arch/aarch64/test_saved
stored_x86_64 := tests/machine/stored/$(VERSION)/state
stored_aarch64 := tests/machine/stored/$(VERSION)/arch-aarch64

.PHONY: stored-state
stored-state: $(O)/tests/$(stored_by_$(ARCH)) ## For a release: tests/machine/stored/VERSION
	$(Q)mkdir -p tests/machine/stored/$(VERSION)
	$(Q)test ! -e $(stored_$(ARCH))
	$(Q)$(RUNNER) $< --write $(stored_$(ARCH))

# --- Installation ------------------------------------------------------------------------------
bindir := $(DESTDIR)$(PREFIX)/bin
mandir := $(DESTDIR)$(PREFIX)/share/man/man1
completiondir := $(DESTDIR)$(PREFIX)/share/bash-completion/completions

.PHONY: install
install: all ## Binary, man page and bash completion below DESTDIR PREFIX
	install -D -m 755 $(bin) $(bindir)/kinglet
	install -D -m 644 docs/kinglet.1 $(mandir)/kinglet.1
	install -D -m 644 docs/kinglet.bash $(completiondir)/kinglet

.PHONY: uninstall
uninstall: ## Remove what install put there
	rm -f $(bindir)/kinglet $(mandir)/kinglet.1 $(completiondir)/kinglet

# --- Static analysis ---------------------------------------------------------------------------
all_src := $(sort $(lib_src) $(main_src) $(test_support) $(test_src) $(fuzz_src) \
	$(fuzz_support) $(direct_src) $(wildcard guest-tests/lessons/*.c) $(wildcard tools/*.c))
analysis_flags = $(filter-out $(hardening),$(common)) -Itests/support \
	-Iguest-tests/lessons/$(ARCH) \
	-DKINGLET_VERSION='"$(VERSION)"'

compile_commands.json: FORCE ## For editors and clang-tidy
	$(Q)flags=$$(printf '%s' '$(subst ','\'',$(CC) $(analysis_flags))' | sed 's/["\\]/\\&/g'); \
	for f in $(all_src); do \
		printf '%s{"directory": "%s", "file": "%s", "command": "%s -c %s"}' \
			"$${sep-[}" '$(CURDIR)' "$$f" "$$flags" "$$f"; sep=','; \
	done >$@ && echo ']' >>$@

.PHONY: lint
lint: compile_commands.json ## cppcheck, clang-tidy and gcc's analyzer: nothing to say
	$(Q)tests/need cppcheck clang-tidy gcc
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --enable=warning,performance,portability \
		--inline-suppr --suppressions-list=tests/cppcheck.txt \
		--suppress=unmatchedSuppression \
		--template=gcc $(filter -I% -D%,$(analysis_flags)) $(all_src)
	$(Q)echo $(all_src) | xargs -n 1 -P 2 clang-tidy -p . --quiet 2>/dev/null
# From gcc's analyzer only what the others cannot find: leaks, because it knows the cleanup
# attribute.
	$(Q)for f in $(lib_src) $(main_src); do \
		$(CC) $(analysis_flags) -O2 -fanalyzer -Wno-analyzer-null-dereference \
			$$(sed -n "s|^$$f ||p" tests/analyzer.txt) -c -o /dev/null $$f || exit 1; \
	done

# --- Housekeeping ------------------------------------------------------------------------------
.PHONY: clean
clean: ## Remove build folders
	rm -rf build build-*

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z._-]+:.*## / { printf "%-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.SECONDARY:
.DELETE_ON_ERROR:
-include $(shell find $(O) -name '*.d' 2>/dev/null)
