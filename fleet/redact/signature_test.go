package redact

import (
	"strings"
	"testing"

	"github.com/fairway-dev/fairway/api/event"
)

// failures are log tails, each as two instances of it wrote them.
var failures = map[string][2]string{
	"Go panic": {
		`2026/11/22 07:42:00 listening on :8080
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x4a5f2e]

goroutine 34 [running]:
main.(*Ledger).Book(0x0, {0xc000012120, 0x24})
	/src/ledger.go:42 +0x1d
main.main()
	/src/main.go:17 +0x1c5`,
		`2026/12/01 23:01:10 listening on :8080
2026/12/01 23:01:11 loaded 341 accounts
panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x51a3c0]

goroutine 1 [running]:
main.(*Ledger).Book(0x0, {0xc0004e8000, 0x24})
	/src/ledger.go:44 +0x2f
main.main()
	/src/main.go:17 +0x1c5`,
	},
	"Go panic elsewhere": {
		`panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x4a5f2e]

goroutine 34 [running]:
main.(*Cards).Pay(0x0)
	/src/cards.go:42 +0x1d`,
		`panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x4a5f2e]

goroutine 7 [running]:
main.(*Cards).Pay(0x0)
	/src/cards.go:42 +0x1d`,
	},
	"Java": {
		`07:42:00.120 [main] INFO  com.bank.Ledger - starting on ledger-5d9c7b8f64-xk2lp
Exception in thread "main" java.lang.IllegalStateException: no schema
	at com.bank.Ledger.open(Ledger.java:31)
	at com.bank.Main.main(Main.java:12)
Caused by: java.sql.SQLException: relation "accounts" does not exist
	at org.postgresql.Driver.connect(Driver.java:297)
	... 3 more`,
		`23:11:59.001 [main] INFO  com.bank.Ledger - starting on ledger-7f6b5c4d88-bbbbb
Exception in thread "main" java.lang.IllegalStateException: no schema
	at com.bank.Ledger.open(Ledger.java:33)
	at com.bank.Main.main(Main.java:12)
Caused by: java.sql.SQLException: relation "accounts" does not exist
	at org.postgresql.Driver.connect(Driver.java:301)
	... 4 more`,
	},
	"Java, another cause": {
		`Exception in thread "main" java.lang.IllegalStateException: no schema
	at com.bank.Ledger.open(Ledger.java:31)
Caused by: java.sql.SQLException: relation "cards" does not exist
	at org.postgresql.Driver.connect(Driver.java:297)`,
		`Exception in thread "main" java.lang.IllegalStateException: no schema
	at com.bank.Ledger.open(Ledger.java:31)
Caused by: java.sql.SQLException: relation "cards" does not exist
	at org.postgresql.Driver.connect(Driver.java:298)`,
	},
	"Python": {
		`INFO:root:worker 3 ready
Traceback (most recent call last):
  File "/app/worker.py", line 20, in <module>
    run()
  File "/app/worker.py", line 14, in run
    rate = rates[currency]
KeyError: 'DKK'`,
		`INFO:root:worker 9 ready
INFO:root:took job 0193a7de-4b2f-7c3d-8e9f-0123456789ab
Traceback (most recent call last):
  File "/app/worker.py", line 22, in <module>
    run()
  File "/app/worker.py", line 15, in run
    rate = rates[currency]
KeyError: 'DKK'`,
	},
	"Python elsewhere": {
		`Traceback (most recent call last):
  File "/app/worker.py", line 9, in <module>
    name = names[currency]
KeyError: 'DKK'`,
		`Traceback (most recent call last):
  File "/app/worker.py", line 10, in <module>
    name = names[currency]
KeyError: 'DKK'`,
	},
	"Node": {
		`server up on 3000
/app/index.js:5
    throw new Error("no rates");
    ^

Error: no rates
    at load (/app/index.js:5:9)
    at Object.<anonymous> (/app/index.js:9:1)
    at Module._compile (node:internal/modules/cjs/loader:1364:14)
    at node:internal/main/run_main_module:28:49

Node.js v20.11.1`,
		`server up on 3001
GET / 200 1.3 ms
/app/index.js:6
    throw new Error("no rates");
    ^

Error: no rates
    at load (/app/index.js:6:9)
    at Object.<anonymous> (/app/index.js:9:1)
    at Module._compile (node:internal/modules/cjs/loader:1554:14)
    at node:internal/main/run_main_module:36:49

Node.js v22.14.0`,
	},
	"Node, another error": {
		`Error: Cannot find module 'express'
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:135:12)
    at node:internal/main/run_main_module:28:49

Node.js v20.11.1`,
		`Error: Cannot find module 'express'
    at Function.executeUserEntryPoint [as runMain] (node:internal/modules/run_main:171:12)
    at node:internal/main/run_main_module:36:49

Node.js v22.14.0`,
	},
	"database away": {
		`{"level":"info","ts":"2026-11-22T07:42:00.123Z","msg":"starting"}
{"level":"error","ts":"2026-11-22T07:42:01.001Z","msg":"ping","error":"dial tcp 10.1.2.3:5432: connect: connection refused"}
{"level":"error","ts":"2026-11-22T07:42:02.004Z","msg":"ping","error":"dial tcp 10.1.2.3:5432: connect: connection refused"}`,
		`{"level":"error","ts":"2027-01-03T23:59:59.1Z","msg":"ping","error":"dial tcp 172.20.0.9:6432: connect: connection refused"}
{"level":"error","ts":"2027-01-04T00:00:00.1Z","msg":"ping","error":"dial tcp 172.20.0.9:6432: connect: connection refused"}
{"level":"error","ts":"2027-01-04T00:00:01.1Z","msg":"ping","error":"dial tcp 172.20.0.9:6432: connect: connection refused"}`,
	},
	"database timed out": {
		`{"level":"error","ts":"2026-11-22T07:42:01.001Z","msg":"ping","error":"dial tcp 10.1.2.3:5432: i/o timeout"}`,
		`{"level":"error","ts":"2027-11-22T07:42:01.001Z","msg":"ping","error":"dial tcp 10.9.9.9:5432: i/o timeout"}`,
	},
	"Apache's clock": {
		`[Sun Nov 22 07:42:00.123456 2026] [core:error] [pid 7] AH00023: Couldn't create the ssl-cache mutex
10.0.0.1 - - [22/Nov/2026:07:42:00 +0000] "GET / HTTP/1.1" 500 12`,
		`[Mon Dec 07 23:00:59.000001 2026] [core:error] [pid 31] AH00023: Couldn't create the ssl-cache mutex
10.0.0.9 - - [7/Dec/2026:23:00:59 +0100] "GET / HTTP/1.1" 500 9`,
	},
	"no word of an error": {
		"step 1 of 9\nstep 2 of 9\nbye",
		"step 1 of 9\nstep 3 of 9\nbye",
	},
}

func TestTheSameFailureHasTheSameSignature(t *testing.T) {
	of := map[string]string{}
	for name, logs := range failures {
		first, second := sign(logs[0], "ledger-5d9c7b8f64-xk2lp", "ip-10-0-0-1"), sign(logs[1], "ledger-7f6b5c4d88-bbbbb", "aks-node-7")
		if first != second {
			t.Errorf("%s: %s and %s, of\n%s\nand\n%s", name, first, second, normalised(logs[0]), normalised(logs[1]))
		}
		if other, taken := of[first]; taken {
			t.Errorf("%s has the signature of %s", name, other)
		}
		of[first] = name
	}
}

func sign(log, pod, node string) string {
	return Signature("CrashLoopBackOff", "app", strings.Split(log, "\n"), pod, node)
}

func normalised(log string) string {
	var out []string
	for _, line := range telling(strings.Split(log, "\n")) {
		out = append(out, Normalise(line))
	}
	return strings.Join(out, "\n")
}

func TestWhatASignatureIsMadeOf(t *testing.T) {
	lines := []string{"starting", "ERROR no such table"}
	base := Signature("CrashLoopBackOff", "app", lines)
	for name, other := range map[string]string{
		"another reason":    Signature("OOMKilled", "app", lines),
		"another container": Signature("CrashLoopBackOff", "proxy", lines),
		"another message":   Signature("CrashLoopBackOff", "app", []string{"ERROR no such column"}),
		"no lines":          Signature("CrashLoopBackOff", "app", nil),
	} {
		if other == base {
			t.Errorf("%s has the same signature", name)
		}
	}
	on := func(pod, node string) string {
		return Signature("r", "c", []string{"fatal: " + pod + " on " + node + " is not the leader"}, pod, node)
	}
	if on("db-0", "worker-a") != on("db-1", "worker-b") || on("proxy-qqqqq", "worker-a") != on("proxy-zzzzz", "worker-a") {
		t.Error("the names of the pod and the node count")
	}
	quiet := append([]string{"what was before"}, strings.Split("a b c d e f g h i j", " ")...)
	if Signature("r", "c", quiet) != Signature("r", "c", quiet[1:]) {
		t.Error("lines before the last ones count")
	}
}

func TestNormalise(t *testing.T) {
	for text, want := range map[string]string{
		"back-off 5m0s restarting":                    "back-off # restarting",
		"health check failed after 30.5s: timeout":    "health check failed after #: timeout",
		"Applied revision: main@sha1:4f1c9d2a":        "Applied revision: main@<id>",
		"pod ledger-5d9c7b8f64-xk2lp  failed 3 times": "pod ledger-<id> failed # times",
		"at 12:31:07.5 from [2001:db8:0:1::7]":        "at <time> from [<address>]",
		"Nov 22 panic: index out of range [5]":        "<time> panic: index out of range [#]",
		"Sun, 22 Nov 2026 08:00:00 GMT boom":          "<time> GMT boom",
		"a feed of cafe food":                         "a feed of cafe food",
	} {
		if got := Normalise(text); got != want {
			t.Errorf("Normalise(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestAlike(t *testing.T) {
	long := strings.Repeat("x", event.MaxMessage)
	for name, c := range map[string]struct {
		a, b string
		want bool
	}{
		"other numbers":             {"try 1 took 3s", "try 2 took 12ms", true},
		"another word":              {"try 1 failed", "try 1 passed", false},
		"beyond what is ever shown": {long + "a", long + "b", true},
	} {
		if got := Alike(c.a, c.b); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// otherDigits swaps digits that no pattern tells apart.
var otherDigits = strings.NewReplacer("4", "5", "5", "4", "6", "7", "7", "6", "8", "9", "9", "8")

// FuzzSignature: it has one form, the lines make it, and other numbers do not change it.
func FuzzSignature(f *testing.F) {
	f.Add("CrashLoopBackOff", "app", "panic: 46 of 8")
	f.Add("", "", "\xff::::0x")
	for _, logs := range failures {
		f.Add("CrashLoopBackOff", "app", logs[0])
	}
	f.Fuzz(func(t *testing.T, reason, container, text string) {
		lines := strings.Split(text, "\n")
		got := Signature(reason, container, lines)
		if len(got) != 16 {
			t.Errorf("signature %q", got)
		}
		if lower := strings.ToLower(text); strings.Contains(lower, "sha") || strings.Contains(lower, "md5") {
			return // these names hold digits
		}
		if other := Signature(reason, container, strings.Split(otherDigits.Replace(text), "\n")); other != got {
			t.Errorf("with other digits %q is another failure", text)
		}
	})
}
