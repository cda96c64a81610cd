# Every target sets up .venv by itself, once; PYTHON names the interpreter (3.11 to 3.13) that it is made with.
PYTHON ?= python3
BIN := .venv/bin
LAB := $(BIN)/seq2seq-lab
INSTALLED := .venv/.installed
# The three experiments; two runs at a time, each on one thread.
SWEEP := train -m hydra/launcher=joblib hydra.launcher.n_jobs=2 hydra.launcher.verbose=0
QUIRKS := trainer.max_epochs=20 seed=0,1,2,3,4 compare=false

.PHONY: help demo test test-all test-slow torture test-slurm test-ray check docs pictures seminar quirks baselines baselines-full forcing-ratio corrected path-star g2p g2p-search scan scan-lake exposure-measures exposure-quality exposure-continued exposure-shift exposure-lengths bench tensorboard
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev,parallel,optuna]'
	@touch $@

demo: $(INSTALLED) ## the three experiments on the embedded corpus, then their comparison (about a minute)
	$(LAB) $(SWEEP) experiment=demo/seq2seq_full,demo/seq2seq_mixed,demo/attention_mixed compare=false
	$(LAB) compare outputs/demo --metric train/loss --metric val/exact_match --metric perf/epoch_seconds
	@echo "See the curves: make tensorboard"

PYTEST := $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder
test: $(INSTALLED) ## the tests, but for those of whole sweeps and the slow ones
	$(PYTEST) -m 'not slow and not whole'

test-all: $(INSTALLED) ## the tests, those of whole sweeps too, but for the slow ones
	$(PYTEST)

test-slow: $(INSTALLED) ## the slow ones
	$(BIN)/pytest -m slow

torture: $(INSTALLED) ## kill sweeps at random moments and compare them with undisturbed ones (about 20 minutes)
	$(BIN)/python tests/torture.py 100

test-slurm: $(INSTALLED) ## a sweep on a real SLURM on this machine; as root, on Debian or Ubuntu (some minutes)
	$(BIN)/pip install --quiet --editable '.[slurm]'
	docs/slurm_on_one_machine.sh up
	$(BIN)/python tests/slurm.py
	docs/slurm_on_one_machine.sh down

test-ray: ## a sweep on a local Ray, in an environment of its own, as Ray's launcher needs an older cloudpickle than joblib
	test -x .venv-ray/bin/python || $(PYTHON) -m venv .venv-ray
	.venv-ray/bin/pip install --quiet --editable '.[ray]'
	.venv-ray/bin/python tests/ray_sweep.py

check: $(INSTALLED) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED) ## write docs/measures.md and the pictures of docs/forcing.md anew
	$(BIN)/python -m seq2seq_lab.evaluation.measures_page > docs/measures.md
	$(BIN)/python docs/draw_forcing.py

pictures: $(INSTALLED) ## take the pictures of the README anew, with Chromium (some minutes)
	$(BIN)/python docs/take_pictures.py

SEMINAR := $(addprefix outputs/seminar/,attention_mixed seq2seq_mixed seq2seq_full)
seminar: $(INSTALLED) ## the seminar's three experiments on the real corpus, 40 epochs, five seeds
	$(LAB) $(SWEEP) experiment=seminar/attention_mixed,seminar/seq2seq_mixed,seminar/seq2seq_full seed=0,1,2,3,4 compare=false
	$(BIN)/python -m experiments.seminar.report $(SEMINAR)
	$(BIN)/python -m experiments.seminar.recency $(SEMINAR:=/seed-*)
	$(BIN)/python -m experiments.seminar.passing $(SEMINAR:=/seed-*)

quirks: seminar ## the seminar's quirks on and off, beside the runs of make seminar
	$(LAB) $(SWEEP) experiment=seminar/attention_mixed model.unmasked_positions=null $(QUIRKS)
	$(LAB) $(SWEEP) experiment=seminar/attention_mixed loader.predict_sos=false $(QUIRKS)
	$(LAB) $(SWEEP) experiment=seminar/attention_mixed model.unmasked_positions=null loader.predict_sos=false $(QUIRKS)
	$(LAB) $(SWEEP) experiment=seminar/seq2seq_mixed loader.predict_sos=false $(QUIRKS)
	$(BIN)/python -m experiments.seminar.quirks outputs
	$(BIN)/python -m experiments.seminar.passing $(SEMINAR:=/seed-*) \
		outputs/seminar/seq2seq_mixed,predict_sos=false/seed-* \
		outputs/seminar/attention_mixed,predict_sos=false,unmasked_positions=null/seed-*

baselines: $(INSTALLED) ## the presets experiment=baseline/…, up to six seeds and three splits (over two hours on two processors)
	$(LAB) $(SWEEP) experiment=baseline/attention,baseline/seq2seq seed=0,1,2,3,4,5 split.seed=0,1,2 compare=false
	$(LAB) $(SWEEP) experiment=baseline/transformer seed=0,1,2 compare=false
	$(LAB) evaluate outputs/baseline/*/seed-* --beam 1,2,5,10,50
	$(BIN)/python -m experiments.baselines.report outputs/baseline

baselines-full: $(INSTALLED) ## the same on the whole corpus, a recurrent model and a Transformer (over an hour on two processors)
	$(LAB) $(SWEEP) experiment=baseline/full_corpus,baseline/transformer_full_corpus compare=false
	$(LAB) evaluate outputs/baseline/*full_corpus/seed-* --beam 1,5
	$(BIN)/python -m experiments.baselines.report outputs/baseline

# Which policy helps? About four hours on two processors; it goes on where it was stopped.
STUDY := $(SWEEP) compare=false seed=0,1,2,3,4,5
CURRICULA := forcing=scheduled forcing/decay=linear,exponential,inverse_sigmoid
forcing-ratio: $(INSTALLED) ## which policy helps? The policies of now, six seeds, two models; replaces the tables of version 0.2 (about four hours)
	for model in attention seq2seq; do \
	  study="experiment=forcing_ratio/$$model"; \
	  $(LAB) $(STUDY) $$study forcing=full,free && \
	  $(LAB) $(STUDY) $$study forcing=mixed forcing.ratio=0.25,0.5,0.75 forcing.unit=sentence,position && \
	  $(LAB) $(STUDY) $$study forcing=two_pass,confidence,word_dropout,uniform && \
	  $(LAB) $(STUDY) $$study forcing=by_step forcing/decay=linear && \
	  $(LAB) $(STUDY) $$study $(CURRICULA) forcing.start=1.0 forcing.end=0.0 && \
	  $(LAB) $(STUDY) $$study $(CURRICULA) forcing.start=0.0 forcing.end=1.0 && \
	  $(LAB) $(STUDY) $$study forcing=scheduled forcing/feeder=sample,soft && \
	  $(LAB) $(STUDY) experiment=forcing_ratio/$${model}_continued objective=nll,minimum_risk && \
	  $(LAB) $(STUDY) experiment=forcing_ratio/$${model}_continued objective=minimum_risk objective.alpha=1 || exit; \
	done
	$(LAB) evaluate outputs/forcing_ratio/*/seed-*
	$(LAB) $(SWEEP) compare=false experiment=baseline/attention seed=0,1,2 forcing=full,free,word_dropout
	$(LAB) $(SWEEP) compare=false experiment=baseline/attention seed=0,1,2 forcing=mixed forcing.ratio=0.75
	$(BIN)/python -m experiments.forcing_ratio.report outputs

CORRECTED := $(SWEEP) compare=false seed=0,1,2,3,4,5
corrected: $(INSTALLED) ## the policies that version 0.3 corrected, and curricula at a constant learning rate (about an hour)
	for model in attention seq2seq; do \
	  study="experiment=forcing_ratio/$$model"; \
	  $(LAB) $(CORRECTED) $$study forcing=full,confidence && \
	  $(LAB) $(CORRECTED) $$study forcing=by_step forcing/decay=linear && \
	  $(LAB) $(CORRECTED) $$study forcing=confidence forcing/feeder=soft forcing.feeder.gradient=false forcing.first_pass=1.0 && \
	  $(LAB) $(CORRECTED) $$study forcing=scheduled forcing/decay=inverse_sigmoid forcing.start=1.0 forcing.end=0.0 forcing/feeder=sample && \
	  study="experiment=forcing_ratio/$${model}_constant_lr"; \
	  $(LAB) $(CORRECTED) $$study forcing=full && \
	  $(LAB) $(CORRECTED) $$study forcing=scheduled forcing/decay=linear forcing.start=1.0 forcing.end=0.0 && \
	  $(LAB) $(CORRECTED) $$study forcing=scheduled forcing/decay=linear forcing.start=0.0 forcing.end=1.0 || exit; \
	done
	$(LAB) evaluate outputs/forcing_ratio/*/seed-*
	$(BIN)/python -m experiments.forcing_ratio.corrected outputs/forcing_ratio

path-star: $(INSTALLED) ## path-star graphs with and without gold inputs, three seeds (about two hours)
	$(LAB) $(SWEEP) experiment=path_star/forced,path_star/teacherless seed=0,1,2 compare=false
	$(BIN)/python -m experiments.path_star.report outputs/path_star

# The files of SIGMORPHON 2020, task 1: fre_train.tsv, fre_dev.tsv, fre_test.tsv in G2P_FOLDER.
G2P := data.train=$(G2P_FOLDER)/fre_train.tsv data.validation=$(G2P_FOLDER)/fre_dev.tsv data.test=$(G2P_FOLDER)/fre_test.tsv
g2p: $(INSTALLED) ## French words and their sounds, two models, five seeds, G2P_FOLDER=… (about an hour)
	$(LAB) $(SWEEP) experiment=g2p/attention,g2p/transformer $(G2P) seed=0,1,2,3,4 compare=false
	$(LAB) evaluate outputs/g2p/*/seed-* --beam 1,5
	$(BIN)/python -m experiments.g2p.report outputs/g2p

g2p-search: $(INSTALLED) ## settings for them, other seeds, on the validation words, G2P_FOLDER=… (under two hours on two processors)
	G2P_FOLDER=$(G2P_FOLDER) $(BIN)/python -m experiments.g2p.search train outputs
	$(BIN)/python -m experiments.g2p.search report outputs

SPLITS := data.split_name=simple,length,jump,turn_left
scan: $(INSTALLED) ## SCAN by a GRU with attention, four splits, three seeds (about an hour)
	$(LAB) $(SWEEP) experiment=scan/attention $(SPLITS) seed=0,1,2 compare=false
	$(LAB) evaluate outputs/scan/*/seed-* --analyses by_target_length,by_form
	$(BIN)/python -m experiments.scan.report outputs/scan

scan-lake: $(INSTALLED) ## the recipe of Lake & Baroni on SCAN, four splits, five seeds (about twenty minutes a run; stops and goes on)
	$(LAB) $(SWEEP) experiment=scan/lake2018 $(SPLITS) seed=0,1,2,3,4 compare=false
	$(LAB) evaluate outputs/scan/*/seed-* --analyses by_target_length,by_form
	$(BIN)/python -m experiments.scan.report outputs/scan

GRAMMAR := $(SWEEP) compare=false experiment=exposure_bias/grammar data.longest=10,20,40 data.pairs=500,2000 model.hidden_size=32,128
exposure-measures: $(INSTALLED) ## which measure detects exposure bias? 216 runs on a grammar (two hours on two processors)
	$(LAB) $(GRAMMAR) seed=0,1,2 forcing=full,free,mixed,two_pass,word_dropout
	$(LAB) $(GRAMMAR) seed=0,1,2 forcing=scheduled forcing/decay=inverse_sigmoid
	$(LAB) evaluate outputs/exposure_bias/*/seed-*
	$(LAB) evaluate outputs/exposure_bias/*forcing=full,hidden_size=32/seed-* --perfect
	$(BIN)/python -m experiments.exposure_bias.measures outputs/exposure_bias

TASK ?= sentences
exposure-quality: $(INSTALLED) ## which method beats full forcing? TASK=sentences|sounds|…, G2P_FOLDER=… for sounds (two hours or more)
	$(BIN)/python -m experiments.exposure_bias.quality train $(TASK) outputs $(METHODS)
	$(BIN)/python -m experiments.exposure_bias.quality report $(TASK) outputs

exposure-continued: ## the same from trained weights of full forcing, TASK=sentences|sounds (an hour or more)
	$(MAKE) exposure-quality TASK=$(TASK)-continued

exposure-shift: $(INSTALLED) ## what methods lose on other sentences, TASK=corrected|sentences|sentences-continued|transformer (half an hour)
	$(BIN)/python -m experiments.exposure_bias.shift $(TASK) outputs

exposure-lengths: $(INSTALLED) ## results by length, TASK=sentences|transformer|scan-length|…, after exposure-quality and exposure-shift (a minute)
	$(BIN)/python -m experiments.exposure_bias.lengths $(TASK) outputs

bench: $(INSTALLED) ## speed, beside a literal reference in the same run
	$(BIN)/python -m benchmarks

tensorboard: $(INSTALLED) ## TensorBoard over everything in outputs/
	$(BIN)/tensorboard --logdir outputs
