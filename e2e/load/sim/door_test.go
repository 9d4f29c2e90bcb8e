package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// echo answers every line with itself.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
		}
	}()
	return listener.Addr().String()
}

func call(conn net.Conn, limit time.Duration) (string, error) {
	_ = conn.SetDeadline(time.Now().Add(limit))
	fmt.Fprintln(conn, "hello")
	return bufio.NewReader(conn).ReadString('\n')
}

func TestWhoComesThroughADoorIsCutOffWithItsNetwork(t *testing.T) {
	network := &Network{}
	door, err := network.Open(t.Context(), echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	enter := func() net.Conn {
		conn, err := net.Dial("tcp", door.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	before := enter()
	if got, err := call(before, 5*time.Second); got != "hello\n" {
		t.Fatalf("before the cut: %q, %v", got, err)
	}
	network.Cut()
	for name, conn := range map[string]net.Conn{"a connection that was open": before, "a new one": enter()} {
		if got, err := call(conn, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s hears %q during the cut, error %v; want nothing", name, got, err)
		}
	}
	network.Heal()
	if _, err := call(before, 5*time.Second); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that the cut caught is not broken after it: %v", err)
	}
	if got, err := call(enter(), 5*time.Second); got != "hello\n" {
		t.Errorf("after the cut: %q, %v", got, err)
	}
	door.PointTo("127.0.0.1:1")
	if got, err := call(enter(), 5*time.Second); err == nil {
		t.Errorf("pointed to nobody: %q", got)
	}
	if err := door.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", door.Address()); err == nil {
		t.Error("a closed door lets somebody in")
	}
}
