# make help lists the targets. Everything that is built or installed stays in .build and .deps.
.DEFAULT_GOAL := build
# Testable imports, so that `make build` and `make test` share every compiled module.
SWIFT_FLAGS := -c release --explicit-target-dependency-import-check error -Xswiftc -enable-testing
MINIMA := .build/release/minima
PAGE_PICTURES := .build/page
.PHONY: help page-test setup reference build test demo lint bench dist clean dist-tests

help:
	@echo "make setup   install what is missing (libtorch into .deps, headers by apt), compile the shim"
	@echo "make build   setup, then build the program: $(MINIMA)"
	@echo "make demo    build, then compress the shipped model, heal it, measure it, generate with it"
	@echo "make test    build, then run every test (installs transformers, tokenizers, lm_eval, NVRTC into .deps)"
	@echo "make page-test   the server's page in headless Chromium, before a pretended server and the built one (Python 3, chromium); pictures in $(PAGE_PICTURES)"
	@echo "make lint    formatting, documentation and layout rules"
	@echo "make bench   measurements beside transformers; writes Benchmarks/results"
	@echo "make dist    relocatable archive for hosts that have libtorch and g++ but no Swift"

setup:
	@native/setup

build: setup
	swift build $(SWIFT_FLAGS)

demo: build
	@Examples/demo $(MINIMA)

reference:
	@native/setup reference
	@Tests/Reference/generate .build/reference

# One test at a time: each uses every core through libtorch, and two at once wait for one another.
test: build reference
	@native/test $(SWIFT_FLAGS)

page-test:
	@python3 Tests/Page/page_test.py --screenshots $(PAGE_PICTURES)
	@python3 Tests/Page/page_test.py --screenshots $(PAGE_PICTURES) --server $(MINIMA) Models/tiny

lint:
	@native/lint

bench: build reference
	@Benchmarks/run $(MINIMA)

dist: setup
	@native/dist

dist-tests: setup
	@native/dist-tests

clean:
	rm -rf .build dist
