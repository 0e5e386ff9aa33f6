package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"

	"rehydra/proxy/http1"
	"rehydra/proxy/upstream"
)

// The operations of section 4 that the tier asks of an adapter.
const (
	opRead    = "read"
	opInstall = "install"
	opDrop    = "drop"
)

// methodReport is the method of an operation.
const methodReport = "REPORT"

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
	fields Fields // copies
	body   []byte // its own
}

// operate sends one operation to b and reads its answer, at most MaxState
// bytes of body; ErrTooLarge beyond. Operations change nothing when they are
// repeated, so one that fails on a kept connection goes out again on a new one.
func (t *Tier) operate(ctx context.Context, b *upstream.Backend, o operation) (answer, error) {
	c, err := b.Acquire(nil, time.Now(), upstream.LookNow)
	if err == nil && c.Reused {
		a, err := t.operateOn(ctx, c, b, o)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrTooLarge) {
			return a, err
		}
		c, err = b.AcquireFresh(nil)
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
	if err = t.sendOperation(c, b, o); err == nil {
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

// sendOperation writes the operation in one piece.
func (t *Tier) sendOperation(c *upstream.Conn, b *upstream.Backend, o operation) error {
	req := fasthttp.AcquireRequest()
	defer fasthttp.ReleaseRequest(req)
	h := &req.Header
	h.SetMethod(methodReport)
	h.SetRequestURIBytes(o.place.target)
	h.SetHost(b.Address())
	if len(o.place.host) > 0 {
		h.SetHostBytes(o.place.host)
	}
	h.Set(FieldTier, t.cfg.Token)
	h.Set(FieldOp, o.op)
	h.Set(FieldID, o.id)
	if o.op == opInstall {
		h.Set(FieldHave, o.have.String())
	}
	if !o.match.IsZero() {
		h.Set(fasthttp.HeaderIfNoneMatch, `"`+o.match.String()+`"`)
	}
	h.SetNoDefaultContentType(true)
	h.SetContentLength(len(o.body))
	_, err := c.Write(append(h.AppendBytes(nil), o.body...))
	return err
}

// readAnswer reads a whole answer. keep says that the connection may be used again.
func (t *Tier) readAnswer(c *upstream.Conn) (a answer, keep bool, err error) {
	resp := fasthttp.AcquireResponse()
	defer fasthttp.ReleaseResponse(resp)
	switch err = resp.ReadLimitBody(c.R, t.cfg.MaxState); {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return a, false, fmt.Errorf("over %d bytes: %w", t.cfg.MaxState, ErrTooLarge)
	case err != nil:
		return a, false, upstream.Unquoted(err)
	}
	a = answer{status: resp.StatusCode(), fields: operationFields(&resp.Header), body: resp.SwapBody(nil)}
	keep = a.status >= fasthttp.StatusOK && !resp.ConnectionClose() && c.R.Buffered() == 0
	return a, keep, nil
}

// operationFields picks the fields of the session protocol out of the head of
// the answer to an operation.
func operationFields(h *fasthttp.ResponseHeader) (f Fields) {
	f.Adapter = string(h.Peek(FieldAdapter)) == "1"
	for _, value := range h.PeekAll(FieldSession) {
		f.Session = bytes.Clone(value)
		f.Sessions++
	}
	return f
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
