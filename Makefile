# Needs Go and, for the race detector, a C compiler. The clients that the end-to-end test drives
# are installed by `make clients`, which `make test` calls.

VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS     := -s -w -X main.version=$(VERSION) -X mqttd/bench.version=$(VERSION)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
MQTTJS      := cmd/mqttd/testdata/mqttjs
FUZZTIME    := 150000x # runs: with a time, go test now and then fails at its own deadline

.PHONY: help build run clients test race chaos crash scale fuzz bench bench-compare soak bench-diff lint check

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/mqttd, bin/mqttbench and bin/floor
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/mqttd ./cmd/mqttbench ./bench/floor

run: build ## build and run the broker; ARGS='-port 1884' passes flags
	bin/mqttd $(ARGS)

# The programs that the tests run, each with its Debian package.
PROGRAMS := ip:iproute2 mosquitto:mosquitto mosquitto_pub:mosquitto-clients mosquitto_sub:mosquitto-clients node:nodejs npm:npm chromium:chromium
SUDO     := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

clients: ## install what the tests drive, where it is missing: MQTT clients, a browser (Debian, npm)
	@for p in $(PROGRAMS); do command -v $${p%:*} >/dev/null || packages="$$packages $${p#*:}"; done; \
	test -z "$$packages" && exit; \
	command -v apt-get >/dev/null || { echo "install what Debian calls$$packages, then try again"; exit 1; }; \
	$(SUDO) apt-get update -qq && \
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$packages >/dev/null && \
	case "$$packages " in *" mosquitto "*) $(SUDO) systemctl disable --now mosquitto >/dev/null 2>&1 || true;; esac # or it takes port 1883
	@$(MAKE) -s --no-print-directory $(MQTTJS)/node_modules

test: clients ## all tests, with the race detector, in random order
	go test -race -shuffle=on ./...

race: ## the tests of the packages, without the clients of others, with the race detector, five times
	go test -race -shuffle=on -count=5 ./codec ./session ./router ./reactor

chaos: ## faults against a live broker with healthy clients beside them, at full size: minutes
	go test ./cmd/mqttd -run TestFault -v -args -faults full

crash: ## the broker killed 200 times under load at each -sync setting, every message accounted for: minutes
	go test ./cmd/mqttd -run TestCrash -timeout 1h -v -args -crashes 200

RETAINED := 1000000

scale: ## RETAINED retained messages (1000000) in a live broker, saved, read, and there after a restart: minutes
	go test ./cmd/mqttd -run TestRetainedAtScale -v -args -retained $(RETAINED)

fuzz: ## each fuzz target for FUZZTIME (150000x runs; 10m is a time)
	@for target in $$(go test -list '^Fuzz' ./codec | grep '^Fuzz'); do \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./codec || exit 1; done

bench: build ## 50 publishers and 50 subscribers against a broker it starts, beside the physical limit
	bin/mqttbench compare -peers floor,mqttd -rounds 2

RESULTS := bench/results/$(shell date +%Y-%m-%d)-$(VERSION)
ROUNDS  := 3

bench-compare: build ## every scenario against every broker installed, with the report: RESULTS, ROUNDS
	bin/mqttbench compare -scenarios all -rounds $(ROUNDS) -out $(RESULTS)

soak: build ## 2,000 connections at 70 % of the peak for 10 minutes: nothing lost, nothing leaks; ARGS adds flags
	bin/mqttbench soak -out bench/results/$(shell date +%Y-%m-%d)-soak $(ARGS)

bench-diff: ## micro-benchmarks of REF and of the working tree, ten runs each, with benchstat; BENCH='pattern'
	@bench/diff.sh '$(REF)' '$(or $(BENCH),.)'

lint: ## formatting, go vet and staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

check: lint test fuzz ## what CI runs: lint, tests, short fuzzing, each benchmark once
	go test -run '^$$' -bench . -benchtime 1x -benchmem ./...

$(MQTTJS)/node_modules: $(MQTTJS)/package-lock.json
	npm ci --no-audit --no-fund --prefix $(MQTTJS)
	@touch $@
