# Everything that people and CI do with this repository. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.PHONY: help demo demo-down test unit stories turning move faults bench compare fuzz fuzz-wire generate verify lint build manifests tools

# One set of build settings, so that every target shares the build cache.
export CGO_ENABLED := 0
# Vetting is make lint's: go test would do it again, over every dependency. Without paths in it, what
# one checkout compiled another one of the same code need not.
export GOFLAGS := -buildvcs=false -vet=off -trimpath
BENCH    = cd e2e && go run ./demo
DEV      = go tool -modfile=e2e/tools/dev/go.mod
FUZZTIME ?= 5s
FUZZ     ?= api fleet operator clusters cmd
ARGS     ?=
GENERATED = api/crd/*.yaml api/v1alpha1/zz_generated.deepcopy.go docs/cli.md api/event/schema/*.json docs/monitoring/*-metrics.md

##@ Try it
demo: ## Bring up a platform, an AWS, an Azure and an acquired cluster; Ctrl-C ends all (DETACH=1: in the background)
	@$(BENCH) up $(if $(DETACH),--detach) $(ARGS)
demo-down: ## End what `make demo DETACH=1`, or a crashed demo, left running
	@$(BENCH) down

##@ Everyday
test: ## Everything that has to pass: generated files, lint, import rules, tables, API-server suites, stories, faults
	@for gate in verify lint unit fuzz-wire stories faults; do \
	  began=$$SECONDS; $(MAKE) --no-print-directory $$gate; echo "make $$gate took $$((SECONDS - began)) s"; \
	done; echo "make test: everything passed"
# Those that take longest begin first. Suites wait more than they work: three at a time keep two processors busy.
UNIT = ./operator/release ./cmd/fairway ./operator/workloadcluster ./clusters/preflight ./...
unit: ## Tables, properties and the suites on a real kube-apiserver (ARGS="-run X ./fleet/view")
	@assets=$$($(BENCH) assets) && KUBEBUILDER_ASSETS=$$assets go test -p 3 $(or $(ARGS),$(UNIT))
	cd e2e && go test ./bench/... ./compare ./load/members ./load/platform
	cd e2e/tools/processnode && go test ./...
	cd e2e/tools/promcheck && go test -count=1 ./... # what it reads is outside of the module, which the cache does not see
# Go before 1.27 fails a fuzzer now and then for the end of its time (go.dev/issue/75804): whoever found something says what.
FUZZ_ENDED = { grep -qx '    context deadline exceeded' .fuzz.log && ! grep -qE 'Failing input|panic|hung or terminated' .fuzz.log; }
fuzz: ## Each fuzzer for FUZZTIME (default 5s), or those in FUZZ, from the corpus that is kept
	@for f in $$(grep -rl --include=*_test.go '^func Fuzz' $(FUZZ)); do \
	  for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$f); do \
	    echo "fuzz $$name in $$(dirname $$f) for $(FUZZTIME)"; \
	    go test ./$$(dirname $$f) -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x -parallel 2 >.fuzz.log 2>&1 || $(FUZZ_ENDED) || { cat .fuzz.log; exit 1; }; \
	  done; done; rm -f .fuzz.log
fuzz-wire: # what anybody on the bus, or on a cluster, can write: events, subjects, logs, labels; the other fuzzers compile half of Kubernetes with instrumentation first
	@$(MAKE) --no-print-directory fuzz FUZZ="api fleet/redact fleet/ownership"
stories: ## What users need, over a whole fleet of real parts (ARGS="-run TestCrash")
	cd e2e && go test ./stories -count=1 -parallel 8 -timeout 40m -v $(ARGS)
turning: ## Clusters' tokens turn every minute for ten minutes, and the operator goes on
	cd e2e && go test ./stories -count=1 -timeout 40m -v -run 'TestTurningTokens$$' -turning 10m $(ARGS)
move: ## A fleet moves to another platform cluster by clusterctl, with ids, credentials and history (minutes; not part of test)
	cd e2e && go test ./move -count=1 -timeout 20m -v $(ARGS)
faults: ## What goes wrong between clusters and the hub, and that nothing is lost or told twice (ARGS="-run TestAHub")
	cd e2e && go test ./faults -count=1 -timeout 15m -v $(ARGS)
bench: ## Benchmarks beside a limit measured in the same run: a table, and bench.json
	cd e2e && go run ./load -json ../bench.json $(ARGS)
compare: ## Flux's notification-controller with its nats provider and Fairway's agent, side by side, NATS cut in between
	cd e2e && go run ./compare $(ARGS)
build: ## The four binaries, into bin/
	@mkdir -p bin
	go build -ldflags "-X main.version=$$(git describe --tags --always --dirty 2>/dev/null || echo dev)" -o bin/ ./cmd/...
tools: ## Build the real Kubernetes, Flux and Cluster API that the bench runs (done once, then kept)
	@$(BENCH) tools

##@ Gates
generate: ## Deepcopy, CRDs, event schemas, lists of metrics, CLI docs
	$(DEV) controller-gen object crd paths=./api/v1alpha1 output:crd:dir=api/crd
	go test ./api/event/schema -run TestGenerated -update
	go test ./fleet/server ./fleet/agent -run TestMetricsReference -update
	go test ./cmd/fairway -run TestDocs -update
verify: ## Fails when a generated file is stale
	@before=$$(cat $(GENERATED) | sha256sum); $(MAKE) --no-print-directory generate; \
	[ "$$before" = "$$(cat $(GENERATED) | sha256sum)" ] || { echo "generated files were stale: commit what 'make generate' wrote"; exit 1; }
lint: ## golangci-lint, which vets too, with the import rules of .golangci.yml, in every module with tests
	@mkdir -p bin && [ bin/golangci-lint -nt e2e/tools/lint/go.mod ] || { echo "building golangci-lint (a few minutes, once)"; cd e2e/tools/lint && go build -o ../../../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint; }
	@for module in . e2e e2e/tools/processnode e2e/tools/promcheck; do \
	  echo "golangci-lint in $$module"; (cd $$module && $(CURDIR)/bin/golangci-lint run ./...); \
	done
manifests: ## Fairway's own manifests, for kubectl apply
	@go run ./cmd/fairway install --export $(ARGS)

help: ## This list
	@awk 'BEGIN{FS=":.*## "} /^##@/{print "\n" substr($$0,5)} /^[a-z-]+:.*## /{printf "  %-11s %s\n",$$1,$$2}' $(MAKEFILE_LIST)
