//go:build !linux

package eventloop

import (
	"errors"
	"syscall"
)

// poller is not there: open says so, and nothing else is called.
type poller struct{}

func (*poller) open() error                                   { return errors.ErrUnsupported }
func (*poller) close()                                        {}
func (*poller) ring()                                         {}
func (*poller) add(int) error                                 { return errors.ErrUnsupported }
func (*poller) addRoom(int) error                             { return errors.ErrUnsupported }
func (*poller) remove(int) error                              { return errors.ErrUnsupported }
func (*poller) wait() int                                     { return 0 }
func (*poller) event(int) (fd int, reads, writes, ended bool) { return }
func accept(int) (took int, from syscall.Sockaddr, err error) { return -1, nil, errors.ErrUnsupported }
