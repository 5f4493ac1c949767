# SPDX-License-Identifier: Apache-2.0
# svidd: one Makefile for everything. `make help` lists what a person types.
#
#   V=1          show commands          SAN=1   address and undefined behaviour sanitizers (build/san)
#   CC=clang     another compiler       T=name  only the tests whose file name contains it
#   STRICT=1     a skipped test fails   YES=1   do not ask before installing packages
#   ARCH=arm64   for another machine, into build/arm64, with `all`, `module`, `cross` and `install`

VERSION = 0.1.0
CC      = gcc
CLANG   = clang
Q       = $(if $(V),,@)
SAN    ?=
O      ?= build$(if $(ARCH),/$(ARCH))$(if $(SAN),/san)$(if $(filter clang,$(CC)),/clang)
PREFIX ?= /usr
DESTDIR ?=

# Debian's libraries and kernel headers for it are in build/cross (agent/dist/cross.sh). What the environment calls
# ARCH is the kernel's business.
ifneq ($(origin ARCH),command line)
override ARCH =
endif
ifneq ($(ARCH),)
CROSS   = $(patsubst arm64,aarch64,$(ARCH))-linux-gnu-
SYSROOT = $(CURDIR)/build/cross/$(ARCH)/root
CC      = $(CROSS)gcc --sysroot=$(SYSROOT) -B$(SYSROOT)/usr/lib/$(CROSS:-=)/
endif

say     = @printf '  %-7s %s\n' '$(1)' '$(2)'

WARN    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
          $(if $(CI),-Werror)
HARDEN  = -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS = $(if $(SAN),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -DSVID_SAN)
comma  := ,
CPPFLAGS = -I. -I$(O) -I$(O)/gen -D_GNU_SOURCE -DSVID_VERSION='"$(VERSION)"' -DSVID_BIN='"$(O)/bin"'
CFLAGS  = -std=gnu11 -O2 -g $(WARN) $(HARDEN) $(SANFLAGS) $(FUZZFLAGS)
LDFLAGS = -Wl,-z,relro,-z,now,--as-needed $(SANFLAGS) $(FUZZFLAGS)

# A folder is a trust domain and a program: each program names the folders and libraries it may use.
objs    = $(patsubst %.c,$(O)/%.o,$(sort $(wildcard $(1)/*.c)))
BASE    = $(call objs,agent/base) $(call objs,agent/ipc)
SANDBOX = $(call objs,agent/sandbox)
DB      = $(call objs,agent/db)
PROTOS  = $(wildcard workloadapi/*.proto) workloadapi/google/protobuf/struct.proto
# Read and written by hand, for their bytes are keys; here for server reflection.
ENVOY_PROTOS = $(sort $(wildcard workloadapi/envoy/*/*/*.proto workloadapi/envoy/*/*/*/*.proto workloadapi/envoy/*/*/*/*/*.proto)) \
	workloadapi/google/protobuf/any.proto workloadapi/google/rpc/status.proto
PB      = $(PROTOS:workloadapi/%.proto=$(O)/gen/%.pb-c.o)

PROGRAMS = svidd svid-core svid-attest svid-keys svid-front svid-undertaker svid-cloud svid
svidd_OBJS       = $(call objs,agent/parent) $(BASE)
svidd_LIBS       = -lbpf
svid-core_OBJS   = $(call objs,agent/core) $(BASE) $(DB) $(SANDBOX)
svid-core_LIBS   = -lbpf -lsqlite3 -ljansson -lfuse3 -lseccomp
svid-attest_OBJS = $(call objs,agent/attest) $(BASE) $(SANDBOX)
svid-attest_LIBS = -lcrypto -lseccomp
svid-keys_OBJS   = $(call objs,agent/keys) $(BASE) $(SANDBOX)
svid-keys_LIBS   = -lcrypto -lseccomp -lpthread
svid-front_OBJS  = $(call objs,workloadapi) $(PB) $(BASE) $(SANDBOX)
svid-front_LIBS  = -lnghttp2 -lprotobuf-c -ljansson -lseccomp
# The front is static: one front per identity set must stay small. Sanitizers need it dynamic.
svid-front_LINK  = $(if $(SAN),-pie,-static-pie)
svid-undertaker_OBJS = $(call objs,agent/undertaker) $(BASE) $(SANDBOX)
svid-undertaker_LIBS = -lseccomp
svid-undertaker_LINK = $(svid-front_LINK)
svid-cloud_OBJS  = $(call objs,federation) $(call objs,agent/oidc) $(BASE) $(DB) $(SANDBOX)
svid-cloud_LIBS  = -lcurl -lssl -lexpat -lcrypto -lsqlite3 -ljansson -lseccomp
svid_OBJS        = $(call objs,agent/cli) $(call objs,agent/oidc) $(PB) $(BASE) $(SANDBOX)
svid_LIBS        = -lyaml -ljansson -lnghttp2 -lprotobuf-c -lcrypto -lseccomp
BINS             = $(PROGRAMS:%=$(O)/bin/%)

BPF_SRC  = $(wildcard kmod/bpf/*.bpf.c)
SKELS    = $(patsubst kmod/bpf/%.bpf.c,$(O)/gen/%.skel.h,$(BPF_SRC))
PB_H     = $(PB:.o=.h)

.PHONY: all help deps quickstart check check-all bench lint fuzz vm vm-debug module cross install clean tests compile_commands
.DELETE_ON_ERROR:
.SUFFIXES:

all: $(BINS) # build every program into build/bin

help: # this list
	@grep -hE '^[a-z_-]+:.* # ' $(MAKEFILE_LIST) | sed -E 's/^([a-z_-]+):.* # (.*)/  make \1\t\2/' | expand -t 26

# Generated headers must be there before the first compile; afterwards the .d files know better.
$(call objs,agent/parent): | $(SKELS)

$(O)/%.o: %.c Makefile | $(PB_H)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# Generated C is not ours to format: no extra warnings.
$(O)/gen/%.pb-c.o: $(O)/gen/%.pb-c.c
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 -O2 -g $(HARDEN) $(SANFLAGS) $(FUZZFLAGS) -MMD -MP -c $< -o $@

$(O)/gen/%.pb-c.c $(O)/gen/%.pb-c.h &: workloadapi/%.proto
	$(call say,PROTOC,$<)
	$(Q)mkdir -p $(O)/gen
	$(Q)protoc-c -I workloadapi --c_out=$(O)/gen $<

.PRECIOUS: $(O)/gen/%.pb-c.c $(O)/gen/%.pb-c.h $(O)/bpf/%.bpf.o

# What server reflection says: every service with all that it uses, as bytes of a C array. The older
# reflection differs in its package name alone.
$(O)/gen/descriptors.h: $(PROTOS) $(ENVOY_PROTOS)
	$(call say,PROTOC,$@)
	$(Q)mkdir -p $(@D)/old
	$(Q)sed 's/grpc\.reflection\.v1/&alpha/' workloadapi/reflection.proto > $(@D)/old/reflection_v1alpha.proto
	$(Q)protoc -I workloadapi -I $(@D)/old --descriptor_set_out=$(@D)/descriptors.pb $^ $(@D)/old/reflection_v1alpha.proto
	$(Q)od -An -v -tx1 $(@D)/descriptors.pb | sed 's/ \(..\)/0x\1,/g' > $@
$(O)/workloadapi/reflection.o: $(O)/gen/descriptors.h

$(O)/gen/vmlinux.h:
	$(call say,BTF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)bpftool btf dump file $(if $(ARCH),build/cross/$(ARCH)/btf,/sys/kernel/btf/vmlinux) format c > $@

BPF_ARCH = $(or $(ARCH),$(patsubst aarch64,arm64,$(patsubst x86_64,x86,$(shell uname -m))))
$(O)/bpf/%.bpf.o: kmod/bpf/%.bpf.c Makefile | $(O)/gen/vmlinux.h
	$(call say,BPF,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Werror -D__TARGET_ARCH_$(BPF_ARCH) -I. -I$(O) -Ikmod/bpf \
		-MMD -MP -MT $@ -c $< -o $@.tmp
	$(Q)bpftool gen object $@ $@.tmp

$(O)/gen/%.skel.h: $(O)/bpf/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)mkdir -p $(@D)
	$(Q)bpftool gen skeleton $< name $(subst -,_,$*)_bpf > $@

define program
$(O)/bin/$(1): $$($(1)_OBJS)
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) $$(or $$($(1)_LINK),-pie) $$($(1)_OBJS) $$($(1)_LIBS) -o $$@
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# Tests say what they link in their first lines: "links: agent/core/policy.c agent/keys" (a folder
# means all of it but main.c).
links      = $(shell sed -n '1,6s@.*links: \(.*\)\*/@\1@p' $(1))
link_objs  = $(foreach l,$(1),$(if $(filter %.c,$(l)),$(O)/$(l:.c=.o),$(filter-out %/main.o,$(call objs,$(l)))))
TEST_LIBS  = -lcmocka -luring -lcurl -lssl -lcrypto -lexpat -lsqlite3 -ljansson -lyaml -lnghttp2 -lprotobuf-c -lbpf -lfuse3 -lseccomp -lpthread
TEST_SRC   = $(sort $(foreach d,unit fault role vm,$(wildcard tests/$(d)/*_test.c)))
TEST_BINS  = $(TEST_SRC:%.c=$(O)/%)
FUZZ_BINS  = $(patsubst %.c,$(O)/%,$(sort $(wildcard tests/fuzz/*_fuzz.c)))

define test_program
$(O)/$(basename $(1)): $(O)/$(1:.c=.o) $$(sort $$(call link_objs,$$(call links,$(1)))) $$(BASE) $$(PB)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(LDFLAGS) -pie $$(filter %.o,$$^) $$(TEST_LIBS) -o $$@
endef
# Of tests/vm, what only some kernel or clock is good for.
VM_TOOLS = tests/vm/cost.c tests/vm/fault.c
$(foreach t,$(TEST_SRC) $(VM_TOOLS) $(wildcard tests/fuzz/*_fuzz.c),$(eval $(call test_program,$(t))))

# Small programs that stand alone: attackers, the floor server, the conformance runner.
define tool
$(O)/bin/$(2): $$(call objs,$(1)) $$(BASE) $(3)
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS) -pie $$(filter %.o,$$^) $$(TOOL_LIBS) -o $$@
endef
TOOL_LIBS = -lnghttp2 -lprotobuf-c -lcrypto -ljansson -luring -lpthread
$(eval $(call tool,conformance,svid-conformance,$$(PB)))
$(eval $(call tool,tests/attack,svid-attack,$$(PB)))
$(eval $(call tool,tests/bench,svid-bench,$$(PB)))
TOOLS = $(foreach d,conformance:svid-conformance tests/attack:svid-attack tests/bench:svid-bench,\
        $(if $(wildcard $(firstword $(subst :, ,$(d)))/*.c),$(O)/bin/$(lastword $(subst :, ,$(d)))))

tests: $(BINS) $(TEST_BINS) $(TOOLS)

deps: # install the Debian packages that building and testing need
	$(Q)agent/dist/deps.sh $(if $(YES),--yes)

quickstart: # install what is missing (asks), build, run svidd in the foreground, show what it does
	$(Q)agent/dist/deps.sh $(if $(YES),--yes)
	$(Q)mkdir -p build && $(MAKE) --no-print-directory -s -j$$(nproc) all build/bin/svid-attack >build/quickstart.log 2>&1 || \
		{ cat build/quickstart.log; exit 1; }
	$(Q)agent/dist/quickstart.py

check: # all tests of the tiers, each with its time; STRICT=1 fails on a skip
	$(Q)STRICT=$(STRICT) T=$(T) MAKE='$(MAKE)' tests/check.sh

check-all: # check, and the slow rest
	$(Q)STRICT=$(STRICT) ALL=1 MAKE='$(MAKE)' tests/check.sh

lint: # style, banned functions, sizes, docstrings, includes, licences, protocol table
	$(Q)tests/lint/lint.sh

bench: $(BINS) $(TOOLS) $(O)/tests/role/cloud_figures_test # figures, beside a server that does the least possible; PEER=spire-agent: and a real one
	$(Q)tests/bench/bench.py

fuzz-build:
	$(Q)$(MAKE) --no-print-directory O=build/fuzz CC=$(CLANG) SAN=1 \
		FUZZFLAGS='-fsanitize=fuzzer-no-link' fuzz-bins
fuzz-bins: LDFLAGS += -fsanitize=fuzzer
fuzz-bins: $(FUZZ_BINS)
.PHONY: fuzz-build fuzz-bins

fuzz: fuzz-build # every fuzz target for SECONDS (default 10)
	$(Q)tests/fuzz/run.sh

# svid.ko for each kernel of tests/vm, from Debian's headers. Kbuild writes beside its sources, so it gets a copy of them.
KMOD_KERNELS = 6.1 6.12
KMOD_SRC     = kmod/Kbuild $(wildcard kmod/*.c kmod/*.h kmod/uapi/*.h)
KMOD_O       = build$(if $(ARCH),/$(ARCH))/kmod
KMOD_HEADERS = $(if $(ARCH),build/cross/$(ARCH)/headers,build/kmod/headers)

module: $(KMOD_KERNELS:%=$(KMOD_O)/%/svid.ko) # svid.ko for stock Debian 6.1 and 6.12, into build/kmod/<version>

$(KMOD_O)/%/svid.ko: $(KMOD_SRC) tests/vm/headers.sh
	$(call say,KMOD,$@)
	$(Q)$(if $(ARCH),agent/dist/cross.sh $(ARCH),tests/vm/headers.sh $*)
	$(Q)mkdir -p $(@D)/uapi
	$(Q)rm -f $(@D)/*.[ch] $(@D)/uapi/*
	$(Q)cp -p $(filter-out kmod/uapi/%,$(filter kmod/%,$^)) $(@D)/
	$(Q)cp -p kmod/uapi/*.h $(@D)/uapi/
	$(Q)$(MAKE) --no-print-directory $(if $(V),V=1,-s) -C $(KMOD_HEADERS)/$*/build M=$(CURDIR)/$(@D) \
		CC=$(CROSS)gcc CROSS_COMPILE=$(CROSS) O= modules

cross: # ARCH=arm64: programs, BPF object and module for that machine, into build/arm64
	$(Q)agent/dist/deps.sh $(if $(YES),--yes) cross
	$(Q)agent/dist/cross.sh $(ARCH)
	$(Q)$(MAKE) --no-print-directory all module

vm: all module # attack tests on stock Debian kernels under QEMU
	$(Q)tests/vm/kernels.sh
	$(Q)tests/check.sh vm

vm-debug: # the module's tests on a kernel that looks for what stock ones cannot see: KASAN, lockdep, kmemleak, failing allocations
	$(Q)tests/vm/kmod_debug.sh

# Manual pages and completion come out of the programs: their tables of verbs, options and documents. They are the same
# for every machine, so another machine's come out of this one's programs.
MAN_O = $(if $(ARCH),build,$(O))/man
MAN   = $(addprefix $(MAN_O)/,svid.1 svid.yaml.5 svid-policy.5 svidd.8 completion.bash completion.zsh)

ifneq ($(ARCH),)
man:
	$(Q)$(MAKE) --no-print-directory ARCH= man
else
$(O)/man/svidd.8: $(O)/bin/svid $(O)/bin/svidd
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(O)/bin/svidd --help | $(O)/bin/svid help --man svidd > $@

$(O)/man/completion.%: $(O)/bin/svid
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$< completion $* > $@

$(O)/man/%: $(O)/bin/svid
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$< help --man $(basename $*) > $@

man: $(MAN) # manual pages and shell completion, into build/man
endif
.PHONY: man

# svid.ko is built where it runs: kmod/INSTALL.md.
KMOD_INSTALL = $(DESTDIR)$(PREFIX)/src/svid-$(VERSION)
install-kmod: # the module's source for dkms, into /usr/src below DESTDIR
	install -d $(KMOD_INSTALL)/uapi
	install -m 0644 kmod/dkms.conf kmod/svid.modules-load kmod/INSTALL.md $(filter-out kmod/uapi/%,$(KMOD_SRC)) $(KMOD_INSTALL)/
	install -m 0644 $(filter kmod/uapi/%,$(KMOD_SRC)) $(KMOD_INSTALL)/uapi/
.PHONY: install-kmod

install: all man install-kmod # programs, unit, users and the example below DESTDIR
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib/svid $(DESTDIR)$(PREFIX)/bin
	install -m 0755 $(O)/bin/svid $(DESTDIR)$(PREFIX)/bin/svid
	install -m 0755 $(O)/bin/svidd $(DESTDIR)$(PREFIX)/sbin/svidd
	install -m 0755 $(filter-out %/svid %/svidd,$(BINS)) $(DESTDIR)$(PREFIX)/lib/svid/
	ln -sf ../../bin/svid $(DESTDIR)$(PREFIX)/lib/svid/svid
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/lib/systemd/system agent/dist/svidd.service
	install -D -m 0644 agent/dist/svid.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/svid.conf
	install -D -m 0644 agent/dist/svid.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/svid.conf
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man1 $(MAN_O)/svid.1
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man5 $(MAN_O)/svid.yaml.5 $(MAN_O)/svid-policy.5
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/man/man8 $(MAN_O)/svidd.8
	install -D -m 0644 $(MAN_O)/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/svid
	install -D -m 0644 $(MAN_O)/completion.zsh $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_svid
	install -d -m 0755 $(DESTDIR)/etc/svid/policy.d
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/svid README.md agent/dist/example.yaml
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/svid/kmod kmod/INSTALL.md
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/svid/federation federation/AWS.md federation/GCP.md federation/AZURE.md

compile_commands: # compile_commands.json for editors
	$(Q)$(MAKE) -Bnk V=1 all | grep -E '^$(CC) .* -c ' | jq -Rs \
		'split("\n") | map(select(length > 0) | {directory: "$(CURDIR)", command: ., file: (capture("-c (?<f>[^ ]+)").f)})' > compile_commands.json

clean: # remove build/ but for cached kernels and clients
	rm -rf build/bin build/san build/clang build/arm64 build/fuzz build/gen build/man build/bpf build/agent build/workloadapi \
		build/federation build/tests build/conformance

-include $(shell find $(O) -name '*.d' -type f -not -path '$(O)/vm/*' -not -path '*/cross/*' -not -path '*/kmod/*/*' 2>/dev/null)
