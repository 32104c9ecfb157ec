# Everything runs from .venv, which these targets make from nothing but make and Python >= 3.11 with pip.
PYTHON ?= python3
BIN := .venv/bin
quietly = said=$$($(BIN)/$(1) 2>&1) || { echo "$$said"; exit 1; }

.PHONY: test test-comfyui lint format demo clean

test: lint  ## All checks, then all tests; those that this machine lacks something for are listed.
	@$(BIN)/pytest -rs

test-comfyui: .venv/.dev  ## What holds of any ComfyUI server, on a real one: STOKER_TEST_COMFYUI=http://host:port make test-comfyui
	@test -n "$$STOKER_TEST_COMFYUI" || { echo "Name the server: STOKER_TEST_COMFYUI=http://host:port make $@" >&2; exit 2; }
	@$(BIN)/pytest -rs tests/conformance -k comfyui

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

clean:  ## Forget the environment and all caches.
	rm -rf .venv .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist

.venv/.dev .venv/.daemon: .venv/.%: pyproject.toml | $(BIN)/python
	@echo "Installing stoker[$*] into .venv ..."
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[$*]'
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
