package platform

import (
	"os"
	"testing"
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
		if got, err := parseMetric(text, name); got != want || err != nil {
			t.Errorf("%s = %v, %v; want %v", name, got, err, want)
		}
	}
	if _, err := parseMetric(text, "go_"); err == nil {
		t.Error("half a name is found")
	}
}
