# Everything that Skylapse needs is brought here, into folders that git ignores: uv into .tools/, Python 3.14 into
# .python/, three environments. Nothing is fetched again while its lock file stands still.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

UV := .tools/uv/bin/uv
PYTHON_PROGRAMS ?= $(if $(shell command -v python3.11),3.11,>=3.11)
export PATH := $(CURDIR)/.tools/bin:$(PATH):/usr/sbin
export LD_LIBRARY_PATH := $(CURDIR)/.tools/lib$(if $(LD_LIBRARY_PATH),:$(LD_LIBRARY_PATH))
export UV_NO_PROGRESS := 1
# Programs that tests start would compile their libraries anew, each of them.
unexport PYTHONDONTWRITEBYTECODE
export UV_HTTP_TIMEOUT := 180

# uv asks the package index that pip is configured for.
PIP_INDEX := $(or $(PIP_INDEX_URL),$(shell python3 -m pip config get global.index-url 2>/dev/null))
ifneq ($(PIP_INDEX),)
export UV_DEFAULT_INDEX := $(PIP_INDEX)
endif
ifneq ($(PIP_CERT),)
export SSL_CERT_FILE := $(PIP_CERT)
endif

.PHONY: help
help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---------------------------------------------------------------- environments

$(UV):
	tools/first_venv.sh .tools/uv
	.tools/uv/bin/pip install --quiet 'uv>=0.9'

.venv/.locked: requirements.lock | $(UV)
	[ -x .venv/bin/python ] || $(UV) venv --quiet --python '$(PYTHON_PROGRAMS)' .venv
	$(UV) pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
	touch $@

.venv/.stamp: .venv/.locked pyproject.toml
	$(UV) pip install --quiet --python .venv/bin/python --no-deps --editable .
	touch $@

.python/path: tools/python314.sh | $(UV)
	mkdir -p .python
	tools/python314.sh .python $(UV) >$@

.venv-314/.locked: requirements.lock .python/path | $(UV)
	[ -x .venv-314/bin/python ] || $(UV) venv --quiet --python "$$(cat .python/path)" .venv-314
	$(UV) pip sync --quiet --python .venv-314/bin/python --require-hashes requirements.lock
	touch $@

.venv-314/.stamp: .venv-314/.locked pyproject.toml
	$(UV) pip install --quiet --python .venv-314/bin/python --no-deps --editable .
	touch $@

.venv-ha/.stamp: requirements-ha.lock .python/path | $(UV)
	@echo "installing Home Assistant 2026.11 into .venv-ha, about a minute"
	[ -x .venv-ha/bin/python ] || $(UV) venv --quiet --python "$$(cat .python/path)" .venv-ha
	$(UV) pip sync --quiet --python .venv-ha/bin/python --require-hashes requirements-ha.lock
	touch $@

.venv-ha-10/.stamp: requirements-ha-2026.10.lock .python/path | $(UV)
	@echo "installing Home Assistant 2026.10 into .venv-ha-10, about a minute"
	[ -x .venv-ha-10/bin/python ] || $(UV) venv --quiet --python "$$(cat .python/path)" .venv-ha-10
	$(UV) pip sync --quiet --python .venv-ha-10/bin/python --require-hashes requirements-ha-2026.10.lock
	touch $@

.libcamera/path: tools/libcamera.sh tools/debian_testing.sh tools/libcamera_rig/shim.c
	mkdir -p .libcamera
	tools/libcamera.sh .libcamera .tools >$@

.venv-picamera/.locked: requirements-picamera.lock .libcamera/path | $(UV)
	$(UV) venv --clear --quiet --python "$$(cat .libcamera/path)" .venv-picamera
	$(UV) pip sync --quiet --python .venv-picamera/bin/python --require-hashes requirements-picamera.lock
	printf '%s\n' $(CURDIR) $(CURDIR)/.libcamera/usr/lib/python3/dist-packages $(CURDIR)/tools/libcamera_rig/stubs \
		>"$$(echo .venv-picamera/lib/python3.*/site-packages)/libcamera_rig.pth"
	touch $@

.venv-picamera/.stamp: .venv-picamera/.locked pyproject.toml
	$(UV) pip install --quiet --python .venv-picamera/bin/python --no-deps --editable .
	touch $@

# The bridge beside the virtual camera; only this program sees it.
.libcamera/bin/skylapse-bridge: Makefile .venv-picamera/.stamp
	mkdir -p $(@D)
	printf '#!/bin/sh\nexec "%s" -P -m tools.libcamera_rig "$$@"\n' '$(CURDIR)/.venv-picamera/bin/python' >$@
	chmod +x $@

.PHONY: venv venv-314 venv-ha venv-ha-10 python libcamera
venv: .venv/.stamp  ## .venv: the programs and their tests, Python 3.11
venv-314: .venv-314/.stamp  ## .venv-314: the same on Python 3.14
venv-ha: .venv-ha/.stamp  ## .venv-ha: Home Assistant 2026.11
venv-ha-10: .venv-ha-10/.stamp  ## .venv-ha-10: Home Assistant 2026.10
libcamera: .libcamera/bin/skylapse-bridge  ## .venv-picamera: picamera2 and libcamera with its virtual camera; .libcamera/bin/skylapse-bridge: the bridge beside it
python: .python/path  ## a Python >= 3.14.2 for Home Assistant

COMPILE_OPTIONS := --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-annotate --no-header

.PHONY: lock
lock: | $(UV)  ## resolve the lock files anew from pyproject.toml
	$(UV) pip compile pyproject.toml --extra bridge --extra calibrate --extra processor --group dev \
		--python-version 3.11 $(COMPILE_OPTIONS) -o requirements.lock
	$(UV) pip compile --group home-assistant --python-version 3.14.2 \
		--override tools/override-2026.11.txt $(COMPILE_OPTIONS) -o requirements-ha.lock
	$(UV) pip compile --group home-assistant-2026-10 --python-version 3.14.2 \
		$(COMPILE_OPTIONS) -o requirements-ha-2026.10.lock
	$(UV) pip compile pyproject.toml --extra bridge --group picamera --python-version 3.14 --python-platform linux \
		--constraints requirements.lock --override tools/override-picamera.txt \
		$(filter-out --universal,$(COMPILE_OPTIONS)) -o requirements-picamera.lock

.PHONY: tools
tools: .tools/bin/mosquitto .tools/bin/mosquitto_sub .tools/bin/mosquitto_pub .tools/bin/chromium .tools/bin/ffmpeg .tools/bin/live555MediaServer  ## Mosquitto, Chromium, ffmpeg, an RTSP server: from the PATH, else Debian's packages

.tools/bin/mosquitto .tools/bin/ffmpeg:
	tools/system_tools.sh .tools $(@F)

# Playwright's own driver needs a library that no package of Chromium brings.
.tools/bin/chromium:
	tools/system_tools.sh .tools chromium libatomic.so.1=libatomic1

.tools/bin/live555MediaServer:
	tools/rtsp_server.sh .tools

.tools/bin/mosquitto_sub .tools/bin/mosquitto_pub:
	tools/system_tools.sh .tools $(@F)=mosquitto-clients

# ---------------------------------------------------------------- what people run

.PHONY: demo
demo: venv venv-ha .tools/bin/mosquitto  ## the whole system and one sunset at up to sixty times its speed (ONCE=1: end with the film)
	@.venv/bin/python -m demo $(if $(ONCE),--once) $(if $(PICTURES),--pictures "$(PICTURES)")

.PHONY: bench
bench: venv venv-ha libcamera tools  ## measurements beside peers, into build/bench.json (ONLY=film: one area)
	.venv/bin/python -m bench $(ONLY)

.PHONY: vendor
vendor:  ## copy the contract into the integration
	rm -rf custom_components/skylapse/protocol
	mkdir -p custom_components/skylapse/protocol
	cp protocol/skylapse_protocol/*.py protocol/skylapse_protocol/py.typed custom_components/skylapse/protocol/

.PHONY: format
format: venv  ## format the code
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

.PHONY: recipe-pictures
recipe-pictures: venv tools  ## the pictures of docs/recipes.md, before and after each step
	.venv/bin/python -m tools.recipe_pictures

.PHONY: dashboard-pictures
dashboard-pictures: venv venv-ha tools  ## the pictures of docs/dashboard.md, as the browser of the end-to-end tests sees them
	.venv/bin/python -m pytest --quiet tests/end_to_end/test_dashboard.py
	cp build/end-to-end/dashboard.jpg build/end-to-end/compare.jpg docs/pictures/

# ---------------------------------------------------------------- checks

HOME_ASSISTANT_TESTS := $(wildcard tests/integration tests/blueprints)
PROGRAM_CODE := $(wildcard protocol/skylapse_protocol pi_bridge/skylapse_bridge processor/skylapse_processor demo bench tools/libcamera_rig tools/recipe_pictures)
PYTEST := -m pytest --quiet
HOME_ASSISTANT_PYTEST := $(PYTEST) -p tests.integration.plugin_2026_11
COVERED := --cov=custom_components/skylapse --cov-branch --cov-fail-under=100 --cov-report=term-missing:skip-covered

.PHONY: lint
lint: venv venv-314 venv-ha  ## format check, ruff, mypy, vendored copy, house test
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy $(PROGRAM_CODE) tests --exclude '^tests/(integration|blueprints)/'
	.venv-ha/bin/python -m mypy --python-version 3.14 custom_components/skylapse $(HOME_ASSISTANT_TESTS)
	diff --recursive --brief --exclude=__pycache__ protocol/skylapse_protocol custom_components/skylapse/protocol
	.venv-314/bin/python $(PYTEST) tests/test_house.py

ROOT_TESTS := $(if $(filter 0,$(shell id -u)),test-power-cut)

.PHONY: test test-programs test-processor test-314 test-picamera test-power-cut test-2026.10 test-2026.11 test-end-to-end
test:  ## every test, on every Python and Home Assistant; what mostly waits runs two at a time
	$(MAKE) venv venv-314 venv-ha venv-ha-10 tools libcamera
	$(MAKE) --jobs=2 --output-sync=target test-processor test-programs test-2026.11 test-2026.10 test-314 test-picamera $(ROOT_TESTS)
	$(MAKE) test-end-to-end

TESTED_ELSEWHERE := $(HOME_ASSISTANT_TESTS) tests/end_to_end tests/power_cut tests/picamera tests/processor tests/test_house.py

test-programs: venv tools  ## contract, bridge and documents on Python 3.11
	.venv/bin/python $(PYTEST) tests $(TESTED_ELSEWHERE:%=--ignore=%)

test-processor: venv tools  ## the processor on Python 3.11
	.venv/bin/python $(PYTEST) tests/processor

# What leans on the interpreter and its library; arithmetic is the same on both.
RUN_ON_314 := check commands config exif health http_camera kill_9 logs program service spool stream_camera twin_write unit upload

test-314: venv-314 tools  ## the contract, and of the bridge what leans on the interpreter, on Python 3.14
	.venv-314/bin/python $(PYTEST) tests/contract $(RUN_ON_314:%=tests/bridge/test_%.py)

test-picamera: libcamera .tools/bin/mosquitto .tools/bin/mosquitto_sub .tools/bin/mosquitto_pub  ## the driver of the Raspberry Pi's cameras on real picamera2 and libcamera
	.venv-picamera/bin/python $(PYTEST) tests/picamera

test-power-cut: venv  ## power cuts on a file system of their own, for which one must be root
	.venv/bin/python $(PYTEST) tests/power_cut

test-2026.10: venv-ha-10 tools  ## the integration on Home Assistant 2026.10: every line, every branch
	mkdir -p build
	COVERAGE_FILE=build/coverage-2026.10 .venv-ha-10/bin/python $(HOME_ASSISTANT_PYTEST) $(COVERED) $(HOME_ASSISTANT_TESTS)

test-2026.11: venv-ha tools  ## the integration on Home Assistant 2026.11: every line, every branch
	mkdir -p build
	COVERAGE_FILE=build/coverage-2026.11 .venv-ha/bin/python $(HOME_ASSISTANT_PYTEST) $(COVERED) $(HOME_ASSISTANT_TESTS)

test-end-to-end: venv venv-ha tools  ## the whole system in a real Home Assistant and a real browser
	.venv/bin/python $(PYTEST) tests/end_to_end

.PHONY: clean
clean:  ## remove everything that was made here
	rm -rf .venv .venv-314 .venv-ha .venv-ha-10 .venv-picamera .tools .python .libcamera build .pytest_cache .ruff_cache .mypy_cache .hypothesis
