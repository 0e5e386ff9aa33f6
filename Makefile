# Rehydra's commands. Each target installs what it needs (Debian packages as root or with sudo, Go modules, Maven
# artifacts) and does nothing about what is already there, so that a fresh clone on a bare Debian 12 with Go is enough.

# A clone may belong to another user than the one who builds: git then refuses to answer, and Go must not ask it.
export GOFLAGS := $(strip $(filter-out -buildvcs%,$(GOFLAGS)) -buildvcs=false)

VERSION     := $(shell sh scripts/version.sh)
LDFLAGS     := -s -w -X main.version=$(VERSION)
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME    ?= 20s
# A Debian that is bare enough trusts no certificate, and no module can be fetched.
CERTS       := $(if $(wildcard /etc/debian_version),/etc/ssl/certs/ca-certificates.crt=ca-certificates)
# An end-to-end package starts Tomcats; one package at a time keeps two cores from judging time-outs unfairly.
TESTFLAGS   ?= -timeout 15m

.DEFAULT_GOAL := build
.PHONY: demo build test unit race lint fuzz e2e soak bench bench-quick adapters clean help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## compile bin/rehydra
	@sh scripts/need.sh $(CERTS)
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/rehydra ./cmd/rehydra

demo: build ## proxy, store, three sample backends and a page, in one process
	bin/rehydra demo

adapters: ## build the Tomcat adapter's two jars, and that of Kryo
	@sh scripts/need.sh javac=openjdk-17-jdk-headless mvn=maven
	mvn -q -B -f adapters/tomcat/pom.xml package

test: unit e2e ## everything: unit tests, then the built binary against real servers

unit: ## the packages by themselves (memcached is started by the tests)
	@sh scripts/need.sh $(CERTS) memcached=memcached
	go vet ./...
	go test $(TESTFLAGS) $$(go list ./... | grep -v /e2e)

e2e: build adapters ## the built binary against real Tomcats, memcached and a browser
	@sh scripts/need.sh memcached=memcached chromium=chromium node=nodejs npm=npm systemd-analyze=systemd curl=curl slowhttptest=slowhttptest
	REHYDRA_BIN=$(CURDIR)/bin/rehydra go test -count=1 -p 1 $(TESTFLAGS) ./e2e/...

race: ## the packages that share memory, under the race detector
	@sh scripts/need.sh gcc=gcc,libc6-dev memcached=memcached
	CGO_ENABLED=1 go test -race $(TESTFLAGS) ./jvmroute/... ./proxy/... ./sessiontier/... ./adapters/go/...

lint: ## gofmt, then golangci-lint with .golangci.yml
	@sh scripts/gofmt.sh
	go run $(GOLANGCI) run ./...

fuzz: ## every fuzz target for FUZZTIME (20s)
	@sh scripts/need.sh memcached=memcached
	sh scripts/fuzz.sh $(FUZZTIME)

soak: ## faults, reloads and the history checker for longer: REHYDRA_SOAK=60s, REHYDRA_SEED=number
	@sh scripts/need.sh memcached=memcached ip=iproute2 nft=nftables
	go test -count=1 -p 1 -tags soak -v $(TESTFLAGS) -run 'Soak|Unfenced' ./e2e/history
	go test -count=1 -p 1 -tags soak -v $(TESTFLAGS) ./e2e/faults
	go test -count=1 -tags soak -v $(TESTFLAGS) -run Nothing ./e2e/upgrade
	go test -count=1 -tags soak -v $(TESTFLAGS) -run KeepAliveEnds ./e2e/serve

# What the comparison needs beside what is built here: the peers, and the Tomcats of the whole systems.
BENCH_NEEDS := haproxy=haproxy nginx=nginx apache2=apache2-bin /usr/lib/apache2/modules/mod_jk.so=libapache2-mod-jk caddy=caddy memcached=memcached

bench: build adapters ## side by side with HAProxy, nginx, Apache, Caddy, net/http and MSM, twenty minutes; BENCH="--peers ... --workloads ..."
	@sh scripts/need.sh $(BENCH_NEEDS)
	go run ./bench $(BENCH)

bench-quick: build ## the essentials of it in three minutes
	@sh scripts/need.sh $(BENCH_NEEDS)
	go run ./bench --quick $(BENCH)

clean: ## remove what was built (downloads in .cache stay)
	rm -rf bin adapters/tomcat/target adapters/tomcat/*/target
