package platform

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestMemoryIsReadFromWhatTheKernelSays(t *testing.T) {
	m, err := parseMemory("Name:\thub\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\nRssAnon:\t     150 kB\nRssFile:\t  50 kB\n")
	if want := (Memory{Resident: 200 << 10, Anonymous: 150 << 10, Peak: 300 << 10}); err != nil || m != want {
		t.Errorf("%+v, %v; want %+v", m, err, want)
	}
	for _, bad := range []string{"", "VmRSS: many kB\n", "VmRSS:\t1 kB\nRssAnon:\t1 kB\n"} {
		if _, err := parseMemory(bad); err == nil {
			t.Errorf("parseMemory(%q) succeeded", bad)
		}
	}
	if m, err := MemoryOf(os.Getpid()); err != nil || m.Resident < 1<<20 || m.Peak < m.Resident/2 {
		t.Errorf("of this process: %+v, %v", m, err)
	}
}

func TestAMetricIsFoundByItsName(t *testing.T) {
	const text = "# HELP go_goroutines Goroutines\n# TYPE go_goroutines gauge\ngo_goroutines 2115\nx{kind=\"a\"} 1.5e+09\n"
	for name, want := range map[string]float64{"go_goroutines": 2115, `x{kind="a"}`: 1.5e9} {
		if got, err := Metrics(text).Value(name); got != want || err != nil {
			t.Errorf("%s = %v, %v; want %v", name, got, err, want)
		}
	}
	if _, err := Metrics(text).Value("go_"); err == nil {
		t.Error("half a name is found")
	}
}

func TestMetricsAreSummedByWhatIsInTheirLabels(t *testing.T) {
	const text = "calls_total{verb=\"POST\",resource=\"a\"} 2\ncalls_total{verb=\"GET\"} 5\ncalls_total{verb=\"POST\",resource=\"leases\"} 7\ncalls_total_more{verb=\"POST\"} 1\n"
	got, err := Metrics(text).Sum("calls_total", func(labels string) bool {
		return strings.Contains(labels, `verb="POST"`) && !strings.Contains(labels, "leases")
	})
	if got != 2 || err != nil {
		t.Errorf("%v, %v; want 2", got, err)
	}
	if _, err := Metrics("calls_total{} x\n").Sum("calls_total", func(string) bool { return true }); err == nil {
		t.Error("what is no number is summed")
	}
}

func TestCPUTimeIsReadFromWhatTheKernelSays(t *testing.T) {
	used, err := parseCPU("7 (a )b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 9 0 100 200 300")
	if used != 2*time.Second || err != nil {
		t.Errorf("%s, %v; want 2s", used, err)
	}
	for _, bad := range []string{"", "7 (a) S 1 7", "7 (a) S 1 7 7 0 -1 4194560 1 2 3 4 many 50 0"} {
		if _, err := parseCPU(bad); err == nil {
			t.Errorf("parseCPU(%q) succeeded", bad)
		}
	}
}
