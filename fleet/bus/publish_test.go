package bus_test

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
)

func TestAnEventWaitsForTheConnectionThatComesBack(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	agent := bustest.Connect(t, b.AgentOptions(t, "a"))
	ids := follow(t, hub, bus.Start{})
	b.Server.Close()
	if err := agent.Publish(shortly(t), "a", newEvent(t, "a", "0")); !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("Publish() without a server = %v, want ErrDisconnected when its time is over", err)
	}
	done := make(chan error, 1)
	go func() { done <- agent.Publish(t.Context(), "a", newEvent(t, "a", "1")) }()
	b.Restart(t)
	if err := <-done; err != nil {
		t.Errorf("Publish() before the server came back = %v", err)
	}
	ids.until(t, "the event", func(ids []string) bool { return len(ids) == 1 && ids[0] == "1" })
}

// mute is a connection that can swallow what is written to it.
type mute struct {
	net.Conn
	swallows *atomic.Bool
	asked    chan<- struct{}
}

func (m mute) Write(p []byte) (int, error) {
	if !m.swallows.Load() {
		return m.Conn.Write(p)
	}
	select {
	case m.asked <- struct{}{}:
	default:
	}
	return len(p), nil
}

func TestALostConnectionEndsTheWaitForAnAcknowledgement(t *testing.T) {
	b := bustest.Start(t)
	b.Hub(t)
	var swallows atomic.Bool
	asked, dialed := make(chan struct{}, 1), make(chan net.Conn, 8)
	o := b.AgentOptions(t, "a")
	o.Dial = func(network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		if err != nil {
			return nil, err
		}
		dialed <- conn
		return mute{conn, &swallows, asked}, nil
	}
	agent := bustest.Connect(t, o)
	swallows.Store(true)
	done := make(chan error, 1)
	go func() { done <- agent.Publish(t.Context(), "a", newEvent(t, "a", "1")) }()
	<-asked
	if err := (<-dialed).Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, bus.ErrDisconnected) {
		t.Errorf("Publish() over a connection that broke = %v, want ErrDisconnected", err)
	}
	swallows.Store(false)
	if err := agent.Publish(t.Context(), "a", newEvent(t, "a", "1")); err != nil {
		t.Errorf("Publish() again = %v", err)
	}
}
