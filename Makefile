# What a person types. The work is in scripts/, one file a task.
.DEFAULT_GOAL := help
.PHONY: help demo run build test bench fmt

help: ## Show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: ## Build everything and open Polder with the demo data (ARGS="--http 127.0.0.1:0" to pass options)
	@scripts/demo $(ARGS)

run: build ## Build and open Polder with the data in ./polder-data
	@scripts/run up $(ARGS)

build: ## Build the console and the release binary
	@scripts/build

test: ## Run every test (SUITES="rust clients" for some)
	@scripts/test $(SUITES)

bench: ## Measure Polder beside its peers (BENCH="load kafka" for some)
	@scripts/bench $(BENCH)

fmt: ## Format the code
	@cargo fmt --all
