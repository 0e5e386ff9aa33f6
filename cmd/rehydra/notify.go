package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// supervisor tells systemd how the process is (sd_notify(3)). Without NOTIFY_SOCKET it does nothing.
type supervisor struct {
	log      zerolog.Logger
	watchdog time.Duration // it wants to hear something at least this often; 0: it does not
}

func newSupervisor(log zerolog.Logger) *supervisor {
	s := &supervisor{log: log}
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("cannot tell how often the supervisor wants to hear of this process")
	}
	s.watchdog = interval
	return s
}

// Ready says that the process serves: after its start, and after a reload.
func (s *supervisor) Ready(status string) { s.tell(daemon.SdNotifyReady, "STATUS="+status) }

// Reloading says that a reload begins; Ready ends it.
func (s *supervisor) Reloading() {
	state := []string{daemon.SdNotifyReloading}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err == nil {
		state = append(state, fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/int64(time.Microsecond)))
	}
	s.tell(state...)
}

// Replaced says that another process takes over. It must be this one that says so: only the main process is believed.
func (s *supervisor) Replaced(pid int) {
	s.tell(fmt.Sprintf("MAINPID=%d", pid), daemon.SdNotifyReady, fmt.Sprintf("STATUS=process %d took over", pid))
}

// Stopping says that the process ends.
func (s *supervisor) Stopping() { s.tell(daemon.SdNotifyStopping, "STATUS=draining") }

// Alive keeps the watchdog quiet.
func (s *supervisor) Alive() { s.tell(daemon.SdNotifyWatchdog) }

// Every is how often Alive is to be called; nil: never.
func (s *supervisor) Every() (ticks <-chan time.Time, stop func()) {
	if s.watchdog <= 0 {
		return nil, func() {}
	}
	ticker := time.NewTicker(s.watchdog / 2)
	return ticker.C, ticker.Stop
}

func (s *supervisor) tell(state ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(state, "\n")); err != nil {
		s.log.Warn().Err(err).Msg("cannot tell the supervisor")
	}
}
