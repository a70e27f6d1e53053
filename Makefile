# Two commands matter: `make demo` (runtime alone, main job) and `make test` (everything, checked).
PYTHON ?= python3
RUNTIME := .venv
DEV := .venv-dev
STAMP := .installed

.PHONY: demo serve test trials zoo debian lint page bench fuzz clean

demo: $(RUNTIME)/$(STAMP)
	@rm -f demo/report.html
	$(RUNTIME)/bin/slicewise data phantom demo/phantoms --seed 7
	$(RUNTIME)/bin/slicewise predict demo/phantoms \
	  $$(ls demo/input | grep -qvx README.md && echo demo/input) --report demo/report.html || \
	  test -f demo/report.html
	@echo "The answers with pictures and heat maps: open demo/report.html in a browser."
	@echo "Put your own slices into demo/input/ and run make demo again."
	@echo "make serve answers over HTTP on http://127.0.0.1:8000"

serve: $(RUNTIME)/$(STAMP)
	$(RUNTIME)/bin/slicewise serve

test: lint debian
	$(DEV)/bin/pytest -n logical --maxprocesses 2 --dist loadfile

# What is too heavy for every change: browsers on many cases, real peers, kills, broken files.
trials: lint debian fuzz
	$(DEV)/bin/pytest -m trials -n logical --maxprocesses 2 --dist loadfile

# Every network of the catalogue: one step, export, parity, heat maps against Grad-CAM.
zoo: $(DEV)/$(STAMP)
	$(DEV)/bin/pytest -m "trials or not trials" tests/zoo tests/training/network

# What tests need beside Python, where we may install it; without it they skip and say why.
debian:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy postgresql; } || \
	  echo "no PostgreSQL here: its tests are skipped (apt-get install postgresql)"
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && \
	  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy chromium; } || \
	  echo "no Chromium here: the tests of the page are skipped (apt-get install chromium)"

lint: $(DEV)/$(STAMP) page
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

# The scripts of the page: types and lint, where npm is; nothing of it is shipped.
page:
	@command -v npm >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qy npm; } || true
	@[ node_modules/$(STAMP) -nt package.json ] || { npm install --no-package-lock --no-audit --no-fund --silent && \
	  touch node_modules/$(STAMP); } || echo "no npm packages here: the scripts of the page are not checked"
	@[ ! -x node_modules/.bin/tsc ] || { node_modules/.bin/tsc -p . && node_modules/.bin/eslint src/slicewise/service/web; }

bench: $(DEV)/$(STAMP)
	$(DEV)/bin/python -m benchmarks --service

fuzz: $(DEV)/$(STAMP)
	$(DEV)/bin/python tools/fuzz.py --out build/fuzz

# Debian keeps Python's venv in a package of its own: fetch it where it is missing and we may.
define new_venv
@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -q && \
  apt-get install -qy python3-venv; } || { echo "missing: apt-get install python3-venv"; exit 1; }
$(PYTHON) -m venv $(1)
endef

$(RUNTIME)/$(STAMP): pyproject.toml constraints/runtime.txt
	$(call new_venv,$(RUNTIME))
	$(RUNTIME)/bin/pip install -q --disable-pip-version-check -c constraints/runtime.txt -e .
	@touch $@

$(DEV)/$(STAMP): pyproject.toml constraints/dev.txt
	$(call new_venv,$(DEV))
	$(DEV)/bin/pip install -q --disable-pip-version-check -U 'pip>=25.1'
	$(DEV)/bin/pip install -q --disable-pip-version-check -c constraints/dev.txt -e . --group dev
	@touch $@

clean:
	rm -rf $(RUNTIME) $(DEV) demo/phantoms demo/report.html build dist
