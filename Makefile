# Two commands do everything: make run and make test.
.DEFAULT_GOAL := help
GO ?= go
TESTFLAGS ?=
LINTER := bin/golangci-lint

.PHONY: help run build test race test-kafka lint bench clean

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
	$(GO) test $(TESTFLAGS) -timeout 10m ./...

race: ## Run the tests of what is concurrent under the race detector
	$(GO) test -race -short -timeout 10m ./api ./commands ./domain ./internal/audit ./internal/eventstore/... ./internal/messaging \
		./internal/password ./internal/session ./internal/throttle ./internal/vault ./projections ./workers/...

test-kafka: ## Run the tests of Kafka against an Apache Kafka, where Java and Maven can bring one
	deployments/test/kafka.sh $(GO) test -race -count 1 -timeout 8m -run 'Kafka/real|Brokers/real' ./internal/messaging ./workers/relay

lint: $(LINTER) ## Run the linters
	$(LINTER) run

$(LINTER):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

bench: ## Run the benchmarks; see docs/benchmarks.md
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## Remove what was built; data stays
	rm -rf bin
