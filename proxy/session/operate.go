package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
)

// The operations of section 4 that the tier asks of an adapter.
const (
	opRead    = "read"
	opInstall = "install"
	opDrop    = "drop"
)

// errNoSuchSession means that a backend was asked for a session and has none:
// the copies stay.
var errNoSuchSession = errors.New("the backend knows no such session")

// operation is one request of section 4.
type operation struct {
	op    string
	id    string
	have  Version // of an install
	match Version // of a read: If-None-Match; zero: none
	body  []byte
	place place
}

// answer is what came back.
type answer struct {
	status int
	fields Fields
	body   []byte // a copy
}

const (
	maxOperationHead = 32 << 10
	maxInterim       = 16 // 1xx answers before the final one
)

// operate sends one operation to b and reads its answer, at most MaxState
// bytes of body; ErrTooLarge beyond. Operations change nothing when they are
// repeated, so one that fails on a kept connection goes out again on a new one.
func (t *Tier) operate(ctx context.Context, b *upstream.Backend, o operation) (answer, error) {
	c, err := b.Acquire(time.Now())
	if err == nil && c.Reused {
		a, err := t.operateOn(ctx, c, b, o)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrTooLarge) {
			return a, err
		}
		c, err = b.AcquireFresh()
		if err != nil {
			return answer{}, t.connectFailed(b, o, err)
		}
		return t.operateOn(ctx, c, b, o)
	}
	if err != nil {
		return answer{}, t.connectFailed(b, o, err)
	}
	return t.operateOn(ctx, c, b, o)
}

func (t *Tier) connectFailed(b *upstream.Backend, o operation, err error) error {
	var ce *upstream.ConnectError
	if errors.As(err, &ce) {
		b.ReportConnect(ce)
	}
	return fmt.Errorf("cannot %s a session at backend %q: %w", o.op, b.Route(), err)
}

// operateOn uses c up: it is given back or closed.
func (t *Tier) operateOn(ctx context.Context, c *upstream.Conn, b *upstream.Backend, o operation) (a answer, err error) {
	keep := false
	defer func() {
		if keep {
			b.Release(c, time.Now())
			return
		}
		_ = c.Close() // what went wrong is in err already
	}()
	limit := operationTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	if limit <= 0 {
		return a, fmt.Errorf("cannot %s a session at backend %q: %w", o.op, b.Route(), context.DeadlineExceeded)
	}
	c.SetWriteTimeout(limit)
	c.SetReadTimeout(limit)
	if _, err = c.Write(t.appendOperation(nil, b, o)); err == nil {
		a, keep, err = t.readAnswer(c)
	}
	if err != nil {
		return a, fmt.Errorf("cannot %s a session at backend %q: %w", o.op, b.Route(), err)
	}
	if a.fields.Adapter {
		b.SetAdapterSeen(c.Epoch(), true)
	}
	return a, nil
}

func (t *Tier) appendOperation(dst []byte, b *upstream.Backend, o operation) []byte {
	dst = append(dst, "REPORT "...)
	dst = append(dst, o.place.target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	if len(o.place.host) > 0 {
		dst = http1.AppendField(dst, "Host", o.place.host)
	} else {
		dst = http1.AppendField(dst, "Host", b.Address())
	}
	dst = http1.AppendField(dst, FieldTier, t.cfg.Token)
	dst = http1.AppendField(dst, FieldOp, o.op)
	dst = http1.AppendField(dst, FieldID, o.id)
	if o.op == opInstall {
		dst = http1.AppendField(dst, FieldHave, o.have.String())
	}
	if !o.match.IsZero() {
		dst = http1.AppendField(dst, "If-None-Match", `"`+o.match.String()+`"`)
	}
	dst = http1.AppendField(dst, "Content-Length", strconv.Itoa(len(o.body)))
	dst = append(dst, "\r\n"...)
	return append(dst, o.body...)
}

// readAnswer reads a whole answer. keep says that the connection may be used again.
func (t *Tier) readAnswer(c *upstream.Conn) (a answer, keep bool, err error) {
	var head http1.ResponseHead
	for interim := 0; ; interim++ {
		if interim > maxInterim {
			return a, false, errors.New("too many interim answers")
		}
		raw, _, err := http1.ReadResponseHead(c.R, nil, maxOperationHead)
		if err != nil {
			return a, false, err
		}
		if err = head.Parse(append([]byte(nil), raw...), false); err != nil {
			return a, false, err
		}
		if head.Status >= 200 {
			break
		}
	}
	a.status = head.Status
	a.fields = CollectFields(head.Fields)
	var body http1.Body
	body.Reset(c.R, head.Framing, head.ContentLength, http1.TrailerLimits{Bytes: maxOperationHead}, true)
	a.body, err = readBody(&body, t.cfg.MaxState)
	return a, err == nil && head.KeepAlive, err
}

func readBody(r io.Reader, most int) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(body) > most {
		err = fmt.Errorf("over %d bytes: %w", most, ErrTooLarge)
	}
	return body, err
}

// CollectFields picks the fields of the session protocol out of a response's
// head or trailer section.
func CollectFields(fields []http1.Field) (f Fields) {
	for i := range fields {
		switch fields[i].Known {
		case http1.RehydraAdapter:
			f.Adapter = string(fields[i].Value) == "1"
		case http1.RehydraSession:
			f.Session = fields[i].Value
			f.Sessions++
		case http1.RehydraState:
			f.State = fields[i].Value
			f.States++
		}
	}
	return f
}

// readAndSave asks b for the session of r, at most once, and stores what it says.
func (t *Tier) readAndSave(ctx context.Context, b *upstream.Backend, r *Report, at place) error {
	o := operation{op: opRead, id: r.ID, place: at}
	if k, ok := t.index.get(t.key(r.App, r.Base)); ok && r.App != "" {
		o.match = k.stored
	}
	a, err := t.operate(ctx, b, o)
	if errors.Is(err, ErrTooLarge) {
		t.log.Warn().Str("app", r.App).Str("session", Shorten(r.Base)).Str("backend", b.Route()).
			Int("max_state", t.cfg.MaxState).Msg("session not stored: its state is too large; the older copy stays")
		return err
	}
	if err != nil && t.isFormerOwners(r) {
		t.saved(t.key(r.App, r.Base), b, Record{Version: r.Version}, 0, ErrFenced)
		return fmt.Errorf("%w: %w", ErrFenced, err)
	}
	if err == nil && !a.fields.Adapter {
		b.SetAdapterSeen(r.epoch, false)
		t.doubts.end(b)
		if !r.adapter {
			return errNoSuchSession // neither answer was an adapter's: nothing of them is believed
		}
		err = errNoAdapter
	}
	if err != nil {
		return t.unread(r, err)
	}
	return t.take(ctx, b, r, a)
}

// unread is for a session whose state could not be had.
func (t *Tier) unread(r *Report, err error) error {
	t.log.Warn().Err(err).Str("app", r.App).Str("session", Shorten(r.Base)).Msg("session unprotected: it could not be read")
	return err
}

// isFormerOwners reports whether r is of an older generation than one that is known to be stored. It may still be a new session under
// an id that ended elsewhere, so it is the last word only where the backend cannot be asked.
func (t *Tier) isFormerOwners(r *Report) bool {
	k, ok := t.index.get(t.key(r.App, r.Base))
	return ok && !r.Version.IsZero() && r.Version.Generation < k.stored.Generation
}

// take acts on the answer to a read.
func (t *Tier) take(ctx context.Context, b *upstream.Backend, r *Report, a answer) error {
	var told Report
	if a.fields.Sessions > 0 {
		f := a.fields
		f.States = 0
		if err := told.readOperation(f); err != nil {
			return t.unread(r, &AdapterError{Backend: b.Route(), Field: FieldSession, Err: err})
		}
		if told.Base != r.Base {
			return t.unread(r, &AdapterError{Backend: b.Route(), Field: FieldSession, Err: errOtherSession})
		}
		told.WasBase, told.origin = r.WasBase, r.origin
	}
	if (a.status == 200 || a.status == 304 || a.status == 404) && t.replaced(r, &told) {
		if r.began.locked {
			t.saved(t.key(r.App, r.Base), b, Record{Version: r.Version}, 0, ErrFenced)
			return fmt.Errorf("%w: the backend has another copy by now", ErrFenced)
		}
		if t.cfg.Lock != LockAuto { // where it is known to change nothing
			t.counters.Conflicts.Add(1)
		}
	}
	switch a.status {
	case 200:
		if a.fields.Sessions == 0 {
			return t.unread(r, &AdapterError{Backend: b.Route(), Field: FieldSession, Err: errNoReport})
		}
		told.State, told.Kind = a.body, StateInline
		*r = told
		return t.save(ctx, b, r)
	case 304:
		if a.fields.Sessions > 0 {
			*r = told
		}
		r.Kind = StateSame
		key := t.key(r.App, r.Base)
		t.noteAt(key, r.epoch, r.TTL)
		if k, ok := t.index.get(key); ok {
			t.renewIfDue(key, &k, k.ttl)
		}
		return t.forgetWas(ctx, r)
	case 410:
		if a.fields.Sessions > 0 {
			*r = told
		}
		r.Kind = StateGone
		return t.end(ctx, r)
	case 404:
		return errNoSuchSession
	default:
		return t.unread(r, fmt.Errorf("cannot read a session at backend %q: it answered %d", b.Route(), a.status))
	}
}

var (
	errOtherSession = errors.New("it speaks of another session than was asked for")
	errNoReport     = errors.New("it is missing")
	errNoAdapter    = errors.New("the answer is not an adapter's")
)

// readOperation reads the report beside the answer to an operation, where the
// state is the body and the parameter state may be any.
func (r *Report) readOperation(f Fields) error {
	if f.Sessions > 1 {
		return errTwice
	}
	next, err := ParseReport(f.Session)
	if err == nil {
		*r = next
	}
	return err
}
