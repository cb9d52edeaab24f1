# SPDX-License-Identifier: GPL-2.0-or-later
# thpd: one Makefile for everything. `make help` is the table of contents.

MODE ?= release
V ?= 0
prefix ?= /usr/local
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
sysconfdir ?= /etc
unitdir ?= /lib/systemd/system

.DEFAULT_GOAL := all
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/bash
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) '$(2)')

VERSION := $(shell sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG | head -n 1)
B := build/$(MODE)

# ---- Goals that need no compiler -------------------------------------------------------------

BUILD_DEPS := build-essential pkg-config libsystemd-dev libiniparser-dev libjson-c-dev libsmartcols-dev \
	liburing-dev libnuma-dev
TEST_DEPS := clang libclang-rt-14-dev llvm libcmocka-dev clang-format cppcheck qemu-system-x86 seabios ipxe-qemu \
	busybox-static cpio kmod socat jq strace procps util-linux man-db systemd git zstd xfsprogs e2fsprogs acl attr \
	musl-tools
LAB_DEPS := mmdebstrap e2fsprogs xz-utils debian-archive-keyring

# $(call install_missing,packages): asks the network only if one is missing
install_missing = $(Q)missing=$$(for p in $(1); do \
		dpkg-query -W -f='$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^.i' || echo $$p; done); \
	if [ -n "$$missing" ]; then \
		echo "installing:" $$missing; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi

.PHONY: help deps lab-deps
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24
	@echo
	@echo '  MODE=release|san|tsan|cov|fuzz  how it is built (default release); CC=gcc|clang; V=1 shows the commands'
	@echo '  DESTDIR= prefix= unitdir=       where install puts things'

deps: ## install what building and testing needs, through apt (asks the network only if something is missing)
	$(call install_missing,$(BUILD_DEPS) $(TEST_DEPS))

lab-deps: deps
	$(call install_missing,$(LAB_DEPS))

NO_BUILD_GOALS := help deps lab-deps clean run check bench format lab check-lab lab-shell
ifneq ($(filter-out $(NO_BUILD_GOALS),$(or $(MAKECMDGOALS),all)),)

# ---- Tools and flags -------------------------------------------------------------------------

ifeq ($(origin CC),default)
CC := $(if $(filter fuzz,$(MODE)),clang,gcc)
endif

ifeq ($(shell command -v pkg-config),)
$(error pkg-config is missing: apt-get install pkg-config, or `make deps`)
endif
# $(call need,pkg-config name,Debian package)
need = $(if $(shell pkg-config --exists $(1) && echo y),,$(error $(1) is missing: apt-get install $(2), or `make deps`))
$(call need,libsystemd,libsystemd-dev)
$(call need,json-c,libjson-c-dev)
$(call need,smartcols,libsmartcols-dev)
$(call need,liburing,liburing-dev)
$(call need,numa,libnuma-dev)
$(if $(filter test-programs quick,$(MAKECMDGOALS)),$(call need,cmocka,libcmocka-dev))
# iniparser's Debian package has no .pc file.
ifeq ($(wildcard /usr/include/iniparser/iniparser.h /usr/include/iniparser.h),)
$(error iniparser is missing: apt-get install libiniparser-dev, or `make deps`)
endif

OBJCOPY ?= objcopy

WARNINGS := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wswitch-enum -Wmissing-prototypes \
	-Wstrict-prototypes -Wvla -Wformat=2 -Wundef -Wpointer-arith -Werror
MODE_CFLAGS_release := -O2 -D_FORTIFY_SOURCE=2
MODE_CFLAGS_san := -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
MODE_CFLAGS_tsan := -O1 -fsanitize=thread -fno-omit-frame-pointer
MODE_CFLAGS_cov := -O0 --coverage
MODE_CFLAGS_fuzz := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
ifeq ($(MODE_CFLAGS_$(MODE)),)
$(error MODE=$(MODE) is not one of release san tsan cov fuzz)
endif

BASE_CFLAGS := -std=gnu17 -g -fPIC -fvisibility=hidden -fstack-protector-strong -pthread -D_GNU_SOURCE \
	-DTHPD_VERSION='"$(VERSION)"' $(WARNINGS) $(MODE_CFLAGS_$(MODE))
LINK_FLAGS := -pthread $(filter -f% --coverage,$(MODE_CFLAGS_$(MODE))) -Wl,-z,relro,-z,now,--as-needed

SYSTEMD_CFLAGS := $(shell pkg-config --cflags libsystemd)
SYSTEMD_LIBS := $(shell pkg-config --libs libsystemd)
JSON_CFLAGS := $(filter-out -I/usr/include/json-c,$(shell pkg-config --cflags json-c))
JSON_LIBS := $(shell pkg-config --libs json-c)
URING_LIBS := $(shell pkg-config --libs liburing)
NUMA_LIBS := $(shell pkg-config --libs numa)
SMARTCOLS_CFLAGS := $(shell pkg-config --cflags smartcols)
SMARTCOLS_LIBS := $(shell pkg-config --libs smartcols)

# ---- Layers: what each folder may include ----------------------------------------------------
# A wrong include does not compile, because the path is not there.

LAYER_lib/base := -iquote lib/base
LAYER_lib/model := -iquote lib/base -iquote lib/model $(JSON_CFLAGS)
LAYER_lib/core := -iquote lib/base -iquote lib/model -iquote lib/core
LAYER_lib/kernel := -iquote lib/base -iquote lib/model -iquote lib/kernel $(JSON_CFLAGS)
LAYER_lib/vmm := -iquote lib/vmm
LAYER_lib/vmm/preload := -iquote lib/vmm -iquote lib/vmm/preload
LAYER_lib := -iquote lib -iquote lib/base -iquote lib/model -iquote lib/core -iquote lib/kernel $(JSON_CFLAGS)
LAYER_daemon := $(LAYER_lib) -iquote lib/vmm -iquote daemon $(SYSTEMD_CFLAGS)
LAYER_thpctl := -iquote lib -iquote thpctl $(SYSTEMD_CFLAGS) $(JSON_CFLAGS) $(SMARTCOLS_CFLAGS)
TEST_INCLUDES := $(LAYER_daemon) -iquote thpctl -iquote tests -iquote tests/lib -iquote tests/fake $(SMARTCOLS_CFLAGS) \
	-iquote lib/vmm/preload
LAYER_tests/unit := $(TEST_INCLUDES)
LAYER_tests/fake := $(TEST_INCLUDES)
LAYER_tests/golden := $(TEST_INCLUDES)
LAYER_tests/fuzz := $(TEST_INCLUDES)
LAYER_tests/lib := -iquote tests/lib
LAYER_tests/expect := -iquote tests/expect -iquote tests/lib
LAYER_tests/live := -iquote tests/live -iquote tests/lib -iquote lib/vmm
LAYER_tests/live/ask := $(LAYER_lib)
LAYER_tests/lab/vmm := -iquote tests/lab/vmm -iquote tests/lib
LAYER_tests/lab/guest := -iquote tests/lib
LAYER_tests/lab/node := -iquote tests/lib
LAYER_bench := $(TEST_INCLUDES) -iquote bench

sources = $(sort $(wildcard $(1)/*.c))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))

LIB_SOURCES := $(foreach d,lib/base lib/model lib/core lib/kernel lib,$(call sources,$(d)))
VMM_SOURCES := $(call sources,lib/vmm) $(filter-out %/preload.c,$(call sources,lib/vmm/preload))
DAEMON_SOURCES := $(call sources,daemon)
THPCTL_SOURCES := $(call sources,thpctl)
LIB_OBJECTS := $(call objects,$(LIB_SOURCES))
VMM_OBJECTS := $(call objects,$(VMM_SOURCES))
DAEMON_OBJECTS := $(call objects,$(DAEMON_SOURCES))
THPCTL_OBJECTS := $(call objects,$(THPCTL_SOURCES))

LIB_LIBS := $(JSON_LIBS) $(URING_LIBS) $(NUMA_LIBS)
DAEMON_LIBS := $(SYSTEMD_LIBS) -liniparser $(LIB_LIBS)
THPCTL_LIBS := $(SYSTEMD_LIBS) $(SMARTCOLS_LIBS) $(LIB_LIBS)

# ---- Rebuild when the flags change -----------------------------------------------------------

FLAGS_LINE := $(CC) $(BASE_CFLAGS) $(CFLAGS) $(LINK_FLAGS) $(LDFLAGS)
$(B)/flags: FORCE
	@mkdir -p $(B); echo '$(subst ','\'',$(FLAGS_LINE))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS_LINE))' > $@

.PHONY: FORCE all run check bench lab check-lab check-lab-cuts lab-shell lint format install clean

$(B)/obj/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(BASE_CFLAGS) $(LAYER_$(patsubst %/,%,$(dir $<))) $(CFLAGS) -MMD -MP -c -o $@ $<

# ---- Programs --------------------------------------------------------------------------------

# Archives keep main.o out, so that tests can link everything else.
$(B)/libthpd.a: $(LIB_OBJECTS)
$(B)/libthpd-vmm.a: $(VMM_OBJECTS)
$(B)/libdaemon.a: $(filter-out %/main.o,$(DAEMON_OBJECTS))
$(B)/libthpctl.a: $(filter-out %/main.o,$(THPCTL_OBJECTS))
$(B)/libthpd.a $(B)/libthpd-vmm.a $(B)/libdaemon.a $(B)/libthpctl.a:
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/libthpd.so: $(LIB_OBJECTS) lib/libthpd.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,libthpd.so.0 -Wl,--version-script=lib/libthpd.map $(LINK_FLAGS) $(LDFLAGS) \
		-o $@ $(LIB_OBJECTS) $(LIB_LIBS)

# What is loaded into a VMM is built apart, as in MODE=release whatever the mode: a sanitizer's library would have to come
# first in a process that was built without it.
VMM_CFLAGS = $(filter-out $(MODE_CFLAGS_$(MODE)),$(BASE_CFLAGS)) $(MODE_CFLAGS_release)
vmm_objects = $(patsubst %.c,$(B)/obj-vmm/%.o,$(1))
$(B)/obj-vmm/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(VMM_CFLAGS) $(LAYER_$(patsubst %/,%,$(dir $<))) $(CFLAGS) -MMD -MP -c -o $@ $<

$(B)/libthpd-vmm-preload.so: $(call vmm_objects,$(VMM_SOURCES) lib/vmm/preload/preload.c) lib/vmm/preload/preload.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -pthread -Wl,-z,relro,-z,now,-z,defs,--as-needed -Wl,--version-script=lib/vmm/preload/preload.map \
		$(LDFLAGS) -o $@ $(filter %.o,$^) -ldl

VMM_API_OBJECTS := $(call vmm_objects,$(call sources,lib/vmm))
$(B)/libthpd-vmm.so: $(VMM_API_OBJECTS) lib/vmm/libthpd-vmm.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -pthread -Wl,-soname,libthpd-vmm.so.0 -Wl,--version-script=lib/vmm/libthpd-vmm.map \
		-Wl,-z,relro,-z,now,-z,defs,--as-needed $(LDFLAGS) -o $@ $(VMM_API_OBJECTS)

# For a VMM that is linked statically: one object, in which all but the API is local, so that none of its names meets one of
# the VMM's own.
$(B)/static/libthpd-vmm.a: $(VMM_API_OBJECTS)
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D); rm -f $@; $(CC) -r -nostdlib -o $(@D)/thpd-vmm.o $^ && \
		$(OBJCOPY) --localize-hidden $(@D)/thpd-vmm.o && ar rcs $@ $(@D)/thpd-vmm.o

$(B)/thpd: $(B)/obj/daemon/main.o $(B)/libdaemon.a $(B)/libthpd.a $(B)/libthpd-vmm.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

$(B)/thpctl: $(B)/obj/thpctl/main.o $(B)/libthpctl.a $(B)/libthpd.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LINK_FLAGS) $(LDFLAGS) -o $@ $^ $(THPCTL_LIBS)

all: $(B)/thpd $(B)/thpctl $(B)/libthpd.so $(B)/libthpd-vmm-preload.so $(B)/libthpd-vmm.so $(B)/static/libthpd-vmm.a \
	$(B)/purity ## build build/thpd and build/thpctl
	@ln -sfn $(MODE)/thpd build/thpd; ln -sfn $(MODE)/thpctl build/thpctl

# The pure layers may call only what lib/purity.allow names: a clock, a file, the environment or a random number in a
# decision is a build failure. Checked on the release build, where no sanitizer adds symbols of its own.
$(B)/purity: $(LIB_OBJECTS) lib/purity.allow lib/purity.sh
	$(call say,PURITY,lib/base lib/model lib/core)
	$(Q)$(if $(filter release,$(MODE)),bash lib/purity.sh lib/purity.allow $(B)/obj/lib && )touch $@

# ---- Tests -----------------------------------------------------------------------------------

UNIT := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
FAKE := $(patsubst %.c,$(B)/%,$(wildcard tests/fake/test_*.c))
GOLDEN := $(patsubst %.c,$(B)/%,$(wildcard tests/golden/test_*.c))
EXPECT := $(patsubst %.c,$(B)/%,$(wildcard tests/expect/expect_*.c))
FUZZ := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
FAKE_SHARED := $(call objects,$(filter-out tests/fake/test_%.c,$(call sources,tests/fake)))
GOLDEN_SHARED := $(call objects,$(filter-out tests/golden/test_%.c tests/golden/record.c,$(call sources,tests/golden)))
EXPECT_SHARED := $(call objects,$(filter-out tests/expect/expect_%.c,$(call sources,tests/expect)))
TEST_LIB := $(call objects,$(call sources,tests/lib))
LIVE_PROGRAMS := $(patsubst %.c,$(B)/%,$(wildcard tests/live/*.c))
ASK := $(B)/tests/live/ask/ask
VMM := $(B)/tests/lab/vmm/vmm
TOY := $(B)/tests/lab/guest/toy
SHIM := $(B)/tests/lab/guest/shim.so
SHATTER := $(B)/tests/lab/node/shatter
ALL_ARCHIVES := $(B)/libdaemon.a $(B)/libthpctl.a $(B)/libthpd.a $(B)/libthpd-vmm.a
ALL_LIBS := $(DAEMON_LIBS) $(SMARTCOLS_LIBS)
test_link = $(Q)mkdir -p $(@D); $(CC) $(LINK_FLAGS) $(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(1)

$(UNIT): $(B)/%: $(B)/obj/%.o $(TEST_LIB) $(ALL_ARCHIVES)
	$(call say,LD,$@)
	$(call test_link,$(ALL_LIBS) -lcmocka -ldl)
$(FAKE): $(B)/%: $(B)/obj/%.o $(FAKE_SHARED) $(TEST_LIB) $(ALL_ARCHIVES)
	$(call say,LD,$@)
	$(call test_link,$(ALL_LIBS) -lcmocka -ldl)
$(GOLDEN): $(B)/%: $(B)/obj/%.o $(GOLDEN_SHARED) $(FAKE_SHARED) $(ALL_ARCHIVES)
	$(call say,LD,$@)
	$(call test_link,$(ALL_LIBS) -lcmocka -ldl)
$(EXPECT): $(B)/%: $(B)/obj/%.o $(EXPECT_SHARED) $(TEST_LIB)
	$(call say,LD,$@)
	$(call test_link,)
$(LIVE_PROGRAMS): $(B)/%: $(B)/obj/%.o $(TEST_LIB) $(B)/libthpd-vmm.a
	$(call say,LD,$@)
	$(call test_link,)
$(ASK): $(B)/obj/tests/live/ask/ask.o $(B)/libthpd.a
	$(call say,LD,$@)
	$(call test_link,$(LIB_LIBS))
$(VMM): $(call objects,$(call sources,tests/lab/vmm)) $(TEST_LIB)
	$(call say,LD,$@)
	$(call test_link,)
$(SHATTER): $(call objects,tests/lab/node/shatter.c) $(TEST_LIB)
	$(call say,LD,$@)
	$(call test_link,)
$(SHIM): $(call objects,tests/lab/guest/shim.c) $(TEST_LIB)
	$(call say,LD,$@)
	$(call test_link,-shared)
# A guest's kernel: 32 bits, no library, where multiboot wants it.
$(TOY): tests/lab/guest/toy.c
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D); $(CC) -std=gnu17 -O2 -m32 -march=i686 -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
		-fno-asynchronous-unwind-tables -fcf-protection=none -Wall -Wextra -Werror -nostdlib -static -no-pie \
		-Wl,-n,--no-warn-rwx-segments,--build-id=none,-z,noexecstack,-e,start,--section-start=.multiboot=0x100000,-Ttext=0x101000 -o $@ $<
# Under MODE=fuzz libFuzzer drives; in any other mode tests/fuzz/main.c runs the files it is given.
$(FUZZ): $(B)/%: $(B)/obj/%.o $(if $(filter fuzz,$(MODE)),,$(B)/obj/tests/fuzz/main.o) $(ALL_ARCHIVES)
	$(call say,LD,$@)
	$(call test_link,$(ALL_LIBS) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer))

.PHONY: test-programs fuzz-programs expect-programs live-programs lab-programs
test-programs: $(UNIT) $(FAKE) $(GOLDEN)
fuzz-programs: $(FUZZ)
expect-programs: $(EXPECT)
live-programs: $(LIVE_PROGRAMS) $(ASK)
lab-programs: live-programs expect-programs $(VMM) $(TOY) $(SHIM) $(SHATTER)

.PHONY: quick
quick: all test-programs ## lint, unit, fake and golden tests only: the quick tier, a minute or two
	$(Q)tests/run.sh --build $(B) --summary lint unit fake golden

lint: all ## layers, purity, format, spelling of the interface
	$(Q)tests/run.sh --build $(B) --summary lint

# ---- Benchmarks ------------------------------------------------------------------------------

BENCH := $(patsubst %.c,$(B)/%,$(wildcard bench/bench_*.c))
$(BENCH): $(B)/%: $(B)/obj/%.o $(TEST_LIB) $(ALL_ARCHIVES)
	$(call say,LD,$@)
	$(call test_link,$(ALL_LIBS))
.PHONY: bench-programs
bench-programs: $(BENCH)

# ---- Install ---------------------------------------------------------------------------------

install: all ## into DESTDIR, prefix; unit into unitdir
	install -D -m 755 $(B)/thpd $(DESTDIR)$(sbindir)/thpd
	install -D -m 755 $(B)/thpctl $(DESTDIR)$(bindir)/thpctl
	install -D -m 644 $(B)/libthpd.so $(DESTDIR)$(libdir)/libthpd.so.0
	ln -sfn libthpd.so.0 $(DESTDIR)$(libdir)/libthpd.so
	install -D -m 644 $(B)/libthpd-vmm-preload.so $(DESTDIR)$(libdir)/libthpd-vmm-preload.so
	sed -e 's|@libdir@|$(libdir)|; s|@version@|$(VERSION)|' lib/vmm/thpd-run.sh > $(B)/thpd-run
	install -D -m 755 $(B)/thpd-run $(DESTDIR)$(bindir)/thpd-run
	sed -e 's|@libdir@|$(libdir)|' conf/apparmor/thpd-vmm-preload > $(B)/thpd-vmm-preload.apparmor
	install -D -m 644 $(B)/thpd-vmm-preload.apparmor $(DESTDIR)$(prefix)/share/doc/thpd/apparmor/thpd-vmm-preload
	install -D -m 644 $(B)/libthpd-vmm.so $(DESTDIR)$(libdir)/libthpd-vmm.so.0
	ln -sfn libthpd-vmm.so.0 $(DESTDIR)$(libdir)/libthpd-vmm.so
	install -D -m 644 $(B)/static/libthpd-vmm.a $(DESTDIR)$(libdir)/libthpd-vmm.a
	for header in lib/thpd.h lib/vmm/thpd-vmm.h; do \
		install -D -m 644 $$header $(DESTDIR)$(includedir)/$${header##*/} || exit 1; done
	install -d $(DESTDIR)$(libdir)/pkgconfig
	for pc in lib/libthpd.pc lib/vmm/libthpd-vmm.pc; do \
		sed -e 's|@prefix@|$(prefix)|; s|@libdir@|$(libdir)|; s|@includedir@|$(includedir)|; s|@version@|$(VERSION)|' \
			$$pc.in > $(B)/$${pc##*/} && \
		install -m 644 $(B)/$${pc##*/} $(DESTDIR)$(libdir)/pkgconfig/$${pc##*/} || exit 1; done
	install -d $(DESTDIR)$(unitdir)
	for unit in thpd thpd-prepare; do \
		sed -e 's|@sbindir@|$(sbindir)|' systemd/$$unit.service > $(B)/$$unit.service && \
		install -m 644 $(B)/$$unit.service $(DESTDIR)$(unitdir)/$$unit.service || exit 1; done
	@# The administrator's file is never replaced.
	[ -e $(DESTDIR)$(sysconfdir)/thpd/thpd.conf ] || \
		install -D -m 644 conf/thpd.conf $(DESTDIR)$(sysconfdir)/thpd/thpd.conf
	install -d $(DESTDIR)$(sysconfdir)/thpd/thpd.conf.d $(DESTDIR)$(sysconfdir)/thpd/vm.d
	for f in conf/examples/*; do install -D -m 644 $$f $(DESTDIR)$(prefix)/share/doc/thpd/examples/$${f##*/}; done
	for f in man/*.[1-8]; do install -D -m 644 $$f $(DESTDIR)$(mandir)/man$${f##*.}/$${f##*/}; done
	install -D -m 644 thpctl/completion/bash $(DESTDIR)$(prefix)/share/bash-completion/completions/thpctl
	install -D -m 644 thpctl/completion/zsh $(DESTDIR)$(prefix)/share/zsh/site-functions/_thpctl

-include $(shell find $(B) -name '*.d' 2>/dev/null)

endif

# ---- The commands that install what they need ------------------------------------------------

run: deps ## the main job on four real QEMU guests, from nothing to a verdict: about two minutes
	$(Q)$(MAKE) --no-print-directory -s all live-programs
	$(Q)tests/live/demo.sh build/$(MODE)

bench: deps ## the side-by-side measurements: a table and build/bench.json; half an hour on a quiet host
	$(Q)$(MAKE) --no-print-directory -s all bench-programs live-programs
	$(Q)bench/bench.sh build/$(MODE)

check: deps ## every test of this machine; closes with "N passed, N failed, N skipped"
	$(Q)tests/check.sh

# ---- The lab: a virtual KVM host (tests/lab) ---------------------------------------------------

KERNEL ?= 6.12
lab: lab-deps ## fetch and build the virtual KVM hosts of check-lab into build/lab: about two minutes, 600 MiB
	$(Q)tests/lab/build.sh

check-lab: lab ## run the scenarios in them: KERNELS='6.1 6.12 7' SCENARIOS='seeds kvm' JOBS=3
	$(Q)$(MAKE) --no-print-directory -s all lab-programs
	$(Q)tests/lab/check.sh build/$(MODE)

check-lab-cuts: lab ## cut the power of one while it realigns files: KERNELS='6.12' KINDS='xfs ext4' CUTS=20; half an hour
	$(Q)$(MAKE) --no-print-directory -s all lab-programs
	$(Q)tests/lab/cuts.sh build/$(MODE)

lab-shell: lab ## a root shell in one, thpd installed: KERNEL=6.12
	$(Q)$(MAKE) --no-print-directory -s all lab-programs
	$(Q)tests/lab/run.sh build/$(MODE) $(KERNEL) --shell

format: ## clang-format on everything
	$(Q)git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove build/
	rm -rf build
