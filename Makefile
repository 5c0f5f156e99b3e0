# hallway: every command a developer needs. All set-up is done here, on a Debian machine with
# rustup's stable toolchain, Python 3.11 with venv, a C compiler and make.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENVS  := target/venv
SUDO   := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
EXAMPLE := examples/rentomatic
# Its name has the version in it.
PHP_FPM := $(or $(firstword $(wildcard /usr/sbin/php-fpm[0-9]*)),/usr/sbin/php-fpm)
HOST   = $(shell rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz would set.
FUZZ_FLAGS := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1

# The servers that hallway is measured beside: Debian's newest, whatever this machine's own Debian is.
PEERS := target/peers
BESIDE = $(if $(AGAINST),--against $(AGAINST))

# What looks at licences and origins of crates; its own version is fixed as theirs are.
DENY := target/tools/bin/cargo-deny

.PHONY: run build test soak lint bench instructions fuzz clean audit

## Builds hallway for release and serves the example at http://127.0.0.1:8000.
run: build $(VENVS)/example/.made
	@echo "The example comes up at the address below; its rooms are at /rooms?status=available"
	@exec target/release/hallway run --chdir $(EXAMPLE) --python $(VENVS)/example/bin/python \
		--static /static=$(EXAMPLE)/rentomatic/web/static --access-log - wsgi:app

build:
	cargo build --release

## Installs what the tests need, and runs them all.
test: $(VENVS)/test/.made target/gunicorn/.made /usr/bin/chromium /usr/sbin/nginx /usr/bin/curl /usr/bin/openssl \
		/usr/bin/testssl /usr/bin/slowhttptest /usr/bin/h2load /usr/sbin/dnsmasq \
		/usr/bin/systemd-socket-activate $(PHP_FPM) /usr/bin/php-cgi /usr/lib/uwsgi/plugins/python3_plugin.so
	cargo test --workspace
	RUSTFLAGS="--cfg loom" cargo test --release -p hallway-ring --lib --target-dir target/loom
	CARGO_TARGET_DIR=target/load cargo test --locked --manifest-path bench/load/Cargo.toml
	cd $(EXAMPLE) && PYTHONDONTWRITEBYTECODE=1 $(CURDIR)/$(VENVS)/test/bin/python -m pytest -q -p no:cacheprovider

## One of three apps attacks for a minute, beside at least 20,000 requests of the others.
soak: $(VENVS)/test/.made /usr/bin/curl
	SOAK_SECONDS=60 SOAK_REQUESTS=20000 cargo test --test stories one_app_of_three_attacks -- --nocapture

## Formatting, clippy with warnings as errors (fuzz targets, too: without libFuzzer, which only running them needs), licences and
## origins of crates, whether the bench can run, circles of files.
lint: $(DENY)
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo fmt --check --manifest-path bench/load/Cargo.toml
	CARGO_TARGET_DIR=target/load cargo clippy --locked --all-targets --manifest-path bench/load/Cargo.toml -- -D warnings
	CUSTOM_LIBFUZZER_PATH=/none/libfuzzer.a cargo clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target -- -D warnings
	$(DENY) --log-level error check bans licenses sources
	$(PYTHON) -B bench/test_bench.py
	$(PYTHON) -B tests/tidy/test_circles.py
	$(PYTHON) -B tests/tidy/circles.py --most 0

## Looks up known vulnerabilities of crates, in a database that it fetches from the network.
audit: $(DENY)
	$(DENY) check advisories

## Measures hallway beside its peers; writes bench/results/. AGAINST=PROGRAM puts another hallway beside it, too.
bench: build $(PEERS)/.made /usr/bin/h2load /usr/bin/openssl /usr/include/ev.h $(VENVS)/bench/.made
	CARGO_TARGET_DIR=target/load cargo build --release --locked --manifest-path bench/load/Cargo.toml
	$(PYTHON) -B bench/run.py --venv $(VENVS)/bench $(BESIDE) --out bench/results/peers.md
	$(PYTHON) -B bench/trials.py --venv $(VENVS)/bench --out bench/results/itself.md
	$(PYTHON) -B bench/edge.py $(BESIDE) --out bench/results/edge.md
	$(PYTHON) -B bench/proxy.py $(BESIDE) --out bench/results/proxy.md
	cargo bench --bench ring

## Counts the user-space instructions of one request (valgrind); AGAINST=PROGRAM compares with another hallway.
instructions: build /usr/bin/valgrind /usr/sbin/nginx /usr/bin/h2load $(VENVS)/test/.made
	$(PYTHON) -B bench/instructions.py --hallway target/release/hallway --python $(VENVS)/test/bin/python \
		$(if $(AGAINST),--against $(AGAINST)) --out target/instructions.md

## Runs each fuzz target for a minute; needs rustup's nightly toolchain, which it installs when missing.
fuzz:
	rustup toolchain list | grep -q nightly || rustup toolchain install nightly --profile minimal
	cd fuzz && RUSTFLAGS="$(FUZZ_FLAGS)" cargo +nightly build --locked --release --target $(HOST) --target-dir ../target/fuzz
	for target in head chunked lane arrival answer gateway config worker; do \
		mkdir -p target/fuzz/found/$$target; \
		target/fuzz/$(HOST)/release/$$target -max_total_time=60 -max_len=4096 \
			target/fuzz/found/$$target fuzz/corpus/$$target || exit 1; \
	done

clean:
	cargo clean

# A virtual environment is made anew when what it holds changes.
$(VENVS)/example/.made: $(EXAMPLE)/requirements.txt
$(VENVS)/test/.made: tests/requirements.txt $(EXAMPLE)/requirements.txt $(EXAMPLE)/requirements-test.txt
$(VENVS)/bench/.made: bench/requirements.txt | /usr/include/ev.h
$(VENVS)/%/.made: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hallway needs Python 3.11 or newer; found '$(PYTHON)'. Name one: make PYTHON=/path/to/python3.11"; exit 1; }
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check $(patsubst %,-r %,$(filter %.txt,$^))
	touch $@

# Gunicorn's own test vectors, which are in its source package only.
target/gunicorn/.made: $(VENVS)/test/.made Makefile
	rm -rf $(@D)
	mkdir -p $(@D)
	$(VENVS)/test/bin/pip download --quiet --disable-pip-version-check --no-deps --no-binary gunicorn \
		--dest $(@D) gunicorn==27.0.1
	tar -xzf $(@D)/gunicorn-27.0.1.tar.gz -C $(@D) --strip-components 1
	touch $@

# What uWSGI and bjoern are compiled with.
/usr/include/ev.h:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends libev-dev python3-dev

# Made anew, with what Debian has then, by `rm -r target/peers`. DEBIAN_MIRROR names a mirror where apt knows none.
$(PEERS)/.made: bench/debian.py
	rm -rf $(@D)
	$(SUDO) apt-get update -qq
	$(PYTHON) -B bench/debian.py $(@D) $(DEBIAN_MIRROR)
	touch $@

$(DENY):
	CARGO_TARGET_DIR=target/tools/build cargo install --quiet --locked --debug --version 0.20.2 --root target/tools cargo-deny
	rm -rf target/tools/build

/usr/bin/h2load:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends nghttp2-client

/usr/sbin/nginx /usr/bin/chromium /usr/bin/curl /usr/bin/openssl /usr/bin/slowhttptest /usr/bin/valgrind /usr/bin/php-cgi:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends $(@F)

/usr/bin/systemd-socket-activate:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends systemd

/usr/sbin/php-fpm:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends php-fpm

/usr/lib/uwsgi/plugins/python3_plugin.so:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends uwsgi-core uwsgi-plugin-python3

/usr/sbin/dnsmasq:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends dnsmasq-base

/usr/bin/testssl:
	$(SUDO) apt-get update -qq
	$(SUDO) apt-get install -y -qq --no-install-recommends testssl.sh
