# SPDX-License-Identifier: MIT
# The few words one needs, over Meson and Ninja.

BUILD  ?= build
PREFIX ?= /usr/local

.PHONY: all demo test prove bench install clean format

all:
	@scripts/setup.sh build
	@scripts/configure.sh --first $(BUILD) -Dtests=false
	@ninja -C $(BUILD)

demo: all
	@scripts/demo.sh $(BUILD)

test:
	@scripts/setup.sh test
	@scripts/test.sh $(BUILD)

prove:
	@scripts/setup.sh test
	@scripts/prove.sh $(BUILD)

bench:
	@scripts/setup.sh bench || echo "bench: without the peers that are missing"
	@scripts/bench.sh build-release

install:
	@scripts/setup.sh build
	@scripts/configure.sh --first $(BUILD) -Dtests=false
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@ninja -C $(BUILD)
	@meson install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
	@test -n "$(DESTDIR)" || test "$$(id -u)" != 0 || ldconfig

format:
	@clang-format -i $$(git ls-files '*.c' '*.h')

clean:
	rm -rf build build-*
