# loraexp: `make demo` shows it, `make test` proves it. Both set up .venv with the pinned versions first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m loraexp
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install demo train sweep evidence regret params methods test test-slow test-browser test-gpu test-slurm bench bench-tuning bench-lines bench-sweep bench-plan bench-methods simulate scale serving reproduce base base-geometries base-report pages docs check lock clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

install: $(VENV)/installed  ## make .venv with the versions of requirements.lock

$(VENV)/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: install  ## three ranks on generated messages, offline, ending with a table
	$(RUN) train lora.rank=4,8,16 baselines=true -m $(ARGS)

train: install  ## one run: make train ARGS="data=sms_spam lora.rank=16"
	$(RUN) train $(ARGS)

OUT = $(or $(patsubst output_dir=%,%,$(filter output_dir=%,$(ARGS))),outputs)
sweep: install  ## ranks 1 to 16 x 5 seeds on the real messages, each at its own learning rate: tables, figures, a report
	$(RUN) train experiment=rank_sweep data=sms_spam $(ARGS) || test $$? = 1  # 1: some jobs failed
	$(RUN) report "runs=[$$(ls -d $(OUT)/sweeps/* | tail -n 1)]" by=[lora.rank] out=$(OUT)/report.html

evidence: install  ## docs/evidence: ranks, methods and targets on the real messages (an hour)
	$(BIN)/python tests/benchmarks/evidence.py $(ARGS)

regret: install  ## six claims of "LoRA Without Regret" on nano, or ARGS="model=gpt2": verdicts (LORAEXP_DATA_DIR; an hour)
	$(BIN)/python tests/benchmarks/regret.py $(ARGS)

params: install  ## how many parameters train, by model and rank
	$(RUN) params 'models=[gpt2,gpt2-large]' 'ranks=[4,8,16]' $(ARGS)

test: install  ## the whole suite but what is marked slow or gpu
	$(BIN)/python -m pytest -n auto $(ARGS)

test-slow: install  ## what takes minutes: 20 kills of a sweep, the full grid of sweeps without a difference, ... (fetches ray, 80 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'ray>=2.55'
	$(BIN)/python -m pytest -m slow $(ARGS)

test-browser: install  ## the report in a real browser (fetches PyQt6-WebEngine and axe, 200 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check PyQt6-WebEngine
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps axe-playwright-python  # axe.min.js is in it
	$(BIN)/python -m pytest tests/report/test_browser.py $(ARGS)

test-gpu: install  ## what needs a GPU
	$(BIN)/python -m pytest -m gpu $(ARGS)

test-slurm: install  ## sweeps on a real SLURM of this machine alone, which begins and ends with the tests
	@PATH=$$PATH:/usr/sbin; { command -v slurmctld && command -v munged; } >/dev/null || test $$(id -u) != 0 || \
	  { apt-get update && apt-get install -y --no-install-recommends slurm-wlm munge; }
	$(BIN)/python -m pytest -m slow tests/slurm $(ARGS)

bench: install  ## texts/s, memory, start beside peft + transformers; bf16 beside fp32 (20 minutes)
	$(BIN)/python tests/benchmarks/speed.py --out outputs/bench.json $(ARGS)
	$(BIN)/python tests/benchmarks/cost.py --out outputs/bench-cost.json
	$(BIN)/python tests/benchmarks/precision.py --out outputs/bench-precision.json

bench-tuning: install  ## what a tuned sweep takes beside the full grid that is as wide (over an hour)
	$(BIN)/python tests/benchmarks/tuning.py --out outputs/bench-tuning.json $(ARGS)

bench-lines: install  ## LoRA beside counted words on two real sets, and a false winner (LORAEXP_DATA_DIR; 15 minutes)
	$(BIN)/python tests/benchmarks/lines.py --out tests/benchmarks/results/lines.json $(ARGS)

bench-sweep: install  ## a whole sweep: one after another, by workers, by scripts of peft (half an hour)
	$(BIN)/python tests/benchmarks/sweep.py --out outputs/bench-sweep.json $(ARGS)

bench-plan: install  ## what `plan` says that sweeps will take, and what they took (10 minutes)
	$(BIN)/python tests/benchmarks/planned.py --out tests/benchmarks/results/planned.json $(ARGS)
	$(BIN)/python tests/benchmarks/sheet.py

simulate: install  ## a sweep of 10,000 jobs on 1 to 1,000 workers, simulated from what is measured here (20 minutes)
	$(BIN)/python tests/benchmarks/cluster.py $(ARGS)
	$(BIN)/python tests/benchmarks/cluster_check.py
	$(BIN)/python tests/benchmarks/many_runs.py

scale: install  ## how cost grows with length, batch, model and data (10 minutes)
	$(BIN)/python tests/benchmarks/scale.py --out outputs/bench-scale.json $(ARGS)

methods: install  ## of each method: parameters, and that it equals PEFT, merges, mixes
	$(BIN)/python tests/benchmarks/methods.py --out tests/benchmarks/results/methods.json $(ARGS)

bench-methods: install  ## what a step of each method takes of memory and time, beside lora (3 minutes)
	$(BIN)/python tests/benchmarks/method_costs.py --out tests/benchmarks/results/method_costs.json $(ARGS)

serving: install  ## what a merged adapter costs, and the memory of many on one base
	$(BIN)/python tests/benchmarks/serving.py --out tests/benchmarks/results/serving.json $(ARGS)

reproduce: install  ## the tutorial's published rows beside ours; runs what can be run (row 10: an hour)
	$(RUN) reproduce run=true ledger=tests/benchmarks/results/ledger $(ARGS)

base: install  ## pretrain the embedded base from its texts anew (LORAEXP_DATA_DIR; hours)
	$(RUN) pretrain recipe=nano $(ARGS)
	$(BIN)/python tests/benchmarks/embed.py outputs/base/nano
	$(BIN)/python tests/benchmarks/held_out.py "$$LORAEXP_DATA_DIR/pretrain"

GEOMETRIES := 2x320x5 3x256x4 4x224x4 6x192x6
base-geometries: install  ## the short trainings by which the base's geometry was chosen
	for g in $(GEOMETRIES); do IFS=x; set -- $$g; unset IFS; folder=outputs/base/$$g; \
	  geometry="model.n_layer=$$1 model.d_model=$$2 model.n_head=$$3"; \
	  $(RUN) pretrain recipe=nano $$geometry out=$$folder seed=0 optim.lr=6e-3 trainer.passes=0.15 && \
	  $(BIN)/python tests/benchmarks/base.py --tasks "sms_spam, book split" --arms "lora r=8, mean" \
	    --out $$folder/report.json $$geometry model.weights=$$folder model.tokenizer=auto || exit 1; \
	done
	$(BIN)/python tests/benchmarks/embed.py --geometries $(addprefix outputs/base/,$(GEOMETRIES))

base-report: install  ## what the embedded base is worth, five seeds an arm (LORAEXP_DATA_DIR; over an hour)
	$(BIN)/python tests/benchmarks/base.py --out tests/benchmarks/results/base.json $(ARGS)
	$(BIN)/python tests/benchmarks/embed.py

pages: install  ## write the tables of docs/ anew, from what the benchmarks stored
	$(BIN)/python tests/benchmarks/made_tables.py

docs: install  ## build/site: the pages of docs/ as a site (fetches mkdocs-material, 100 MB)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check mkdocs-material==9.8.2
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --config-file .ci/mkdocs.yml

check: install  ## format, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: install  ## pin what .venv holds now in requirements.lock
	$(BIN)/python -m pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' > requirements.lock

clean:  ## remove .venv, caches and everything in outputs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
	find outputs -mindepth 1 ! -name .gitkeep -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
