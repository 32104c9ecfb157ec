# Everything runs from .venv, which these targets make from nothing but make and Python >= 3.11 with pip.
PYTHON ?= python3
BIN := .venv/bin
quietly = said=$$($(BIN)/$(1) 2>&1) || { echo "$$said"; exit 1; }

.PHONY: test test-comfyui test-adapters lint format demo bench bench-quick clean install uninstall

test: lint  ## All checks, then all tests; those that this machine lacks something for are listed.
	@$(BIN)/python -m tests -rs

test-comfyui: .venv/.dev  ## What holds of any ComfyUI server, on a real one: STOKER_TEST_COMFYUI=http://host:port make test-comfyui
	@test -n "$$STOKER_TEST_COMFYUI" || { echo "Name the server: STOKER_TEST_COMFYUI=http://host:port make $@" >&2; exit 2; }
	@$(BIN)/pytest -rs tests/conformance -k comfyui

test-adapters: .venv/.dev .venv-torch/.made  ## The adapters to model libraries, on tiny models and CPUs, with some 1.4 GB of packages.
	@STOKER_TEST_TORCH_PYTHON=$(CURDIR)/.venv-torch/bin/python $(BIN)/pytest -rs tests/adapters

lint: .venv/.dev  ## Style, types and who imports whom; silent when all is well.
	@$(call quietly,ruff check)
	@$(call quietly,ruff format --check)
	@$(call quietly,pyright)
	@$(call quietly,lint-imports --no-logo)

format: .venv/.dev  ## Mend what a machine can mend.
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

demo: .venv/.daemon  ## A daemon in a temporary directory, at work, killed and started again.
	@$(BIN)/stoker demo

bench: .venv/.dev  ## Stoker beside its peers on this machine, into docs/performance.md; some twenty minutes, best on a quiet one.
	@$(BIN)/python -m benchmarks

bench-quick: .venv/.dev  ## Whether that works: a minute, and no figure that says anything.
	@$(BIN)/python -m benchmarks --quick

# Where `make install` puts the environment; the unit in systemd/ names the same place.
PREFIX := /opt/stoker

install:  ## On this host, as root: /opt/stoker, the commands, the user and the unit `stokerd`; also to upgrade.
	@test -x $(PREFIX)/bin/python || $(PYTHON) -m venv $(PREFIX)
	@$(PREFIX)/bin/python -m pip install -qq --disable-pip-version-check --upgrade '.[daemon]'
	@ln -sf $(PREFIX)/bin/stoker $(PREFIX)/bin/stokerd /usr/local/bin/
	@install -Dm644 systemd/stokerd.service /etc/systemd/system/stokerd.service
	@install -Dm644 systemd/stoker.sysusers /usr/lib/sysusers.d/stoker.conf
	@install -Dm644 systemd/stoker.tmpfiles /usr/lib/tmpfiles.d/stoker.conf
	@systemd-sysusers stoker.conf && systemd-tmpfiles --create stoker.conf
	@test -e /etc/stoker/stokerd.toml || { $(PREFIX)/bin/stokerd config --template > /etc/stoker/stokerd.toml && \
	    chown root:stoker /etc/stoker/stokerd.toml && chmod 640 /etc/stoker/stokerd.toml; }
	@test ! -d /run/systemd/system || systemctl daemon-reload
	@echo "Installed. Its configuration is /etc/stoker/stokerd.toml; then: systemctl enable --now stokerd"

uninstall:  ## Take all that away again, but for the queue, the outputs (/var/lib/stoker) and the configuration.
	@test ! -d /run/systemd/system || systemctl disable --now stokerd
	@rm -rf $(PREFIX) /usr/local/bin/stoker /usr/local/bin/stokerd /etc/systemd/system/stokerd.service \
	    /usr/lib/sysusers.d/stoker.conf /usr/lib/tmpfiles.d/stoker.conf
	@test ! -d /run/systemd/system || systemctl daemon-reload
	@echo "Removed. /var/lib/stoker and /etc/stoker are as they were."

clean:  ## Forget the environment and all caches.
	rm -rf .venv .venv-torch .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist

.venv/.dev .venv/.daemon: .venv/.%: pyproject.toml | $(BIN)/python
	@echo "Installing stoker[$*] into .venv ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
	@touch $@

# `+cpu`: the build for GPUs brings several GB, and is taken only where pip finds no other.
.venv-torch/.made: pyproject.toml
	@echo "Installing torch and model libraries into .venv-torch ..."
	@test -x .venv-torch/bin/python || $(PYTHON) -m venv .venv-torch
	@.venv-torch/bin/python -m pip install -qq --disable-pip-version-check torch==2.13.0+cpu \
	    || .venv-torch/bin/python -m pip install -qq --disable-pip-version-check torch==2.13.0
	@.venv-torch/bin/python -m pip install -qq --disable-pip-version-check \
	    'diffusers>=0.42' 'transformers>=5' 'sentence-transformers>=6' accelerate Pillow --editable .
	@touch $@

# A Python without ensurepip (Debian's, lacking python3-venv) lends its own pip.
$(BIN)/python:
	@for python in $(PYTHON) python3.14 python3.13 python3.12 python3.11; do \
	    if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        "$$python" -m venv --clear .venv >/dev/null 2>&1 && exit; \
	        "$$python" -m venv --clear --without-pip .venv \
	            && "$$python" -m pip --python $@ install -qq pip && exit; \
	        echo "$$python can't make .venv: it needs pip (on Debian: apt install python3-venv)" >&2; exit 1; \
	    fi; \
	done; \
	echo "stoker needs Python 3.11 or newer; name one: make PYTHON=/path/to/python3.11" >&2; exit 1
