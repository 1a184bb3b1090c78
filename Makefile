# `make` lists what can be made. Needed: Go, make and git.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

# Set by hand for a release; otherwise the Go toolchain stamps the commit.
VERSION ?=
# Releases are compiled by the profile in cmd/yett. What the tests need is not, and with both there would be two builds of everything.
PGO ?= $(if $(VERSION),auto,off)
# How long each fuzz target runs.
FUZZTIME ?= 10s
# How long the tests of one package may take.
TIMEOUT ?= 10m

# Everything but the tests with the race detector is compiled like the binary that is released, and
# so but once, the standard library too: other flags would be another build of all of it.
PLAIN := CGO_ENABLED=0 GOFLAGS="$(strip $(shell go env GOFLAGS) -trimpath)"

# The race detector needs a C compiler. Expanded when used, after `tools`.
RACE = $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
# git refuses to speak about a tree of another owner, and go build then fails.
BUILDVCS = $(if $(shell git rev-parse HEAD 2>/dev/null),auto,false)

# Packages that see views into buffers that are given back: with the tag poison these are
# overwritten, so that whoever forgot to copy fails. The long rounds of their tests have run before.
POISONED := $(patsubst %,./internal/%/...,exchange wire engine gateway manners route policy limit meter token revocation upstream telemetry admin openapi/contract) \
	$(patsubst %,./%/...,$(wildcard test/conformance test/twin))

# Packages whose tests compute for long in one goroutine, where the race detector finds nothing and
# makes all ten times as slow: there they do little, and run in full without it.
COMPUTING := $(patsubst %,./internal/%,openapi openapi/sample role store/memory)

# Packages whose tests wait more than they compute, for processes, for the network or for time: they
# begin first, and the others run beside them.
WAITING := $(patsubst %,./%,$(wildcard test/e2e test/conformance test/soak test/clients internal/upstream internal/engine/http1))

# More packages at once than there are processors, as some wait. What is compiled meanwhile gives way
# to tests: those look at clocks.
BESIDE := -p 4 -toolexec=nice

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

.PHONY: build
build: ## build bin/yett (VERSION=v1.2.3 for a release)
	$(PLAIN) go build -pgo=$(PGO) -buildvcs=$(BUILDVCS) -ldflags "-s -w $(if $(VERSION),-X main.version=$(VERSION))" -o bin/yett ./cmd/yett

.PHONY: run
run: build ## try it: the gateway with three services behind it
	@./bin/yett demo

.PHONY: check
check: build ## formatting, vet, staticcheck, the example configurations and who may do what there
	@echo "gofmt"; unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "run gofmt -w on:" $$unformatted; exit 1; }
	$(PLAIN) go vet ./...
	$(PLAIN) go vet -tags poison ./internal/exchange ./internal/wire
	$(PLAIN) go tool staticcheck ./...
	@for file in examples/*/yett.yaml; do JWT_SECRET=$$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n') ./bin/yett check -c $$file; done
	@./bin/yett test examples/*/access.yaml

.PHONY: test
test: tools check ## everything that has to pass before a change is good
	@$(PLAIN) go build -buildvcs=false -o bin/summary ./test/summary
	@./bin/summary "$(RACE) $(BESIDE) -vet=off -timeout $(TIMEOUT) $(WAITING) ./..." \
		"CGO_ENABLED=0 -trimpath $(BESIDE) -vet=off -short -tags poison -timeout $(TIMEOUT) $(filter ./internal/upstream/... ./internal/engine/...,$(POISONED)) $(POISONED) $(COMPUTING)"

# Tools that are missing are named by the tests that are skipped for them: debootstrap, helm, pm2.
.PHONY: deploy-test
deploy-test: ## try all of deploy/ and the commands of docs/DEPLOYMENT.md
	YETT_DEPLOY=1 go test -count=1 -v ./test/deploy

# What tests use beside Go. Without curl, the demo's commands are not tried;
# without gcc, there is no race detector; without strace, system calls are not counted; without redis-server, the tests of the
# shared store are skipped, without chromium those in a browser, and without node
# and npm those of the document by the tools of others.
.PHONY: tools
tools:
	@missing=""; \
	command -v curl >/dev/null || missing="curl"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v strace >/dev/null || missing="$$missing strace"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	[ "$$(go env CGO_ENABLED)" = 1 ] || missing="$$missing gcc libc6-dev"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing for the tests: $$missing"; \
		apt-get -qq update && apt-get -qq install -y --no-install-recommends $$missing >/dev/null || echo "that failed; the tests do without"; \
	else \
		echo "not installed: $$missing; the tests do without"; \
	fi

.PHONY: soak
soak: ## change and break running gateways in all numbers that are promised: half an hour
	YETT_SOAK=1 go test -count 1 -v -timeout 60m ./test/soak

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME=10s
	@go test -list '^Fuzz' ./... \
		| awk '/^Fuzz/ {names[n++] = $$1} /^ok/ {for (i = 0; i < n; i++) print $$2, names[i]; n = 0}' \
		| while read -r package name; do \
			echo "$$package $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null; \
		done

.PHONY: bench
bench: ## compare with nginx, HAProxy and others on this machine: under five minutes
	go run ./bench

.PHONY: bench-full
bench-full: ## the same with all cases and programs: half an hour or more, writes docs/BENCHMARKS.md
	go run ./bench -full -report docs/BENCHMARKS.md

.PHONY: pgo
pgo: ## take the profile anew that releases are compiled by
	go run ./bench -profile cmd/yett/default.pgo

# DURATION=, RATE= change the test; URL=, with PASSWORD= and PID=, is a gateway that runs already.
.PHONY: load
load: $(if $(TEST),$(if $(URL),,build)) ## load tests: TEST=quick, basic, spike, stress or soak
	@go run ./load $(if $(URL),-url $(URL)) $(if $(PASSWORD),-password '$(PASSWORD)') $(if $(PID),-pid $(PID)) $(if $(DURATION),-duration $(DURATION)) $(if $(RATE),-rate $(RATE)) $(TEST)

.PHONY: docs
docs: ## write docs/reference anew
	go run ./cmd/yett reference --dir docs/reference
