.DEFAULT_GOAL := help
GOLANGCI := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
SEEDS ?= 1000
FUZZTIME ?= 30s
CHAOS ?= 8m
SOAK ?= 1h
BASE ?= HEAD
.PHONY: help build test race lint fuzz simulate mutants chaos soak bench compare bench-compare dev ci

help: ## print the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'
build: ## build ./bluerings
	go build -o bluerings ./cmd/bluerings
test: ## run all tests
	go test ./...
race: ## run all tests under the race detector, the long ones left out
	go test -race -short ./...
lint: ## gofmt, go vet, golangci-lint (staticcheck is in it)
	@test -z "$$(gofmt -l . | tee /dev/stderr)" && go vet ./... && go run $(GOLANGCI) run
fuzz: ## fuzz every target for FUZZTIME
	FUZZTIME=$(FUZZTIME) .ci/run fuzz
simulate: ## play SEEDS seeds of the simulator
	go test ./ring/simulator -run TestSeeds -count 1 -timeout 60m -v -seeds $(SEEDS)
mutants: ## plant every bug of internal/mutants and see that the tests notice
	go run ./internal/mutants
chaos: ## let all kinds of fault loose on real processes for CHAOS
	go test ./internal/blackbox -run TestChaos -count 1 -timeout 30m -v -chaos $(CHAOS)
soak: ## run a ring of five under load and faults for SOAK, and look at what it uses
	go test ./internal/blackbox -run TestSoak -count 1 -timeout 0 -v -soak $(SOAK)
bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./...
compare: ## measure against the rivals, and write docs/PERFORMANCE.md (COMPARE="-short" for a trial run; -help)
	cd bench && go run . $(COMPARE)
bench-compare: ## run the benchmarks of the hot paths on BASE and on the working tree in turns, and show what became slower
	cd bench && go run ./regress -base $(BASE) $(ARGS)
dev: ## run a ring of three on this machine
	go run ./cmd/bluerings dev --nodes 3
ci: ## everything that continuous integration runs
	.ci/run
