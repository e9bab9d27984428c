# Two commands do everything: make run and make test.
.DEFAULT_GOAL := help
GO ?= go
TESTFLAGS ?=
# How many inputs a fuzz target is tried with. Not a time: at the end of one, go before 1.27 now and then calls its own
# deadline a failure (https://go.dev/issue/75804).
FUZZTIME ?= 20000x
LINTER := bin/golangci-lint

.PHONY: help run build test race fuzz test-kafka lint vuln bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

run: build ## Build and run everything in one process
	@exec bin/daybook serve

build: ## Build bin/daybook
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/daybook .

test: build ## Run all tests, installing PostgreSQL and Chromium first where there are none
	bin/daybook install-postgres
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y --no-install-recommends chromium; } || \
		echo "There is no Chromium: the test that walks the pages will say so and be left out."
	$(GO) vet ./...
	$(GO) test $(TESTFLAGS) -timeout 15m ./...

race: ## Run the tests of what is concurrent under the race detector
	$(GO) test -race -short -timeout 10m ./api ./commands ./domain ./internal/audit ./internal/eventstore/... ./internal/messaging \
		./internal/password ./internal/session ./internal/throttle ./internal/vault ./projections ./workers/...

test-kafka: ## Run the tests of Kafka against an Apache Kafka, where Java and Maven can bring one
	deployments/test/kafka.sh $(GO) test -race -count 1 -timeout 8m -run 'Kafka/real|Brokers/real' ./internal/messaging ./workers/relay

# The test binary of a package is linked once for all of its targets.
fuzz: ## Look for new input that breaks a parser, FUZZTIME for each; what is found becomes a seed under testdata/fuzz
	@grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r package; do \
		$(GO) test -c -fuzz . -o $(CURDIR)/bin/fuzz.test $$package || exit 1; \
		cat $$package/*_test.go | grep -oE '^func Fuzz[A-Za-z0-9]+' | sed 's/func //' | sort | while read -r target; do \
			echo "$$package $$target"; \
			(cd $$package && $(CURDIR)/bin/fuzz.test -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 100x \
				-test.fuzzcachedir $(CURDIR)/bin/fuzz) || exit 1; \
		done || exit 1; \
	done

lint: $(LINTER) ## Run the linters
	$(LINTER) run

$(LINTER):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

vuln: ## Look for known vulnerabilities that the program can reach
	@if [ -z "$$CI" ] && ! curl --silent --fail --max-time 10 --output /dev/null https://vuln.go.dev/index/db.json; then \
		echo "The vulnerability database, vuln.go.dev, cannot be reached: nothing was checked."; exit 0; fi; \
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

bench: ## Run the benchmarks; see docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## Remove what was built; data stays
	rm -rf bin
