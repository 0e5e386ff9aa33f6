package main

import (
	"bytes"
	"fmt"
	"text/template"
)

// A chart draws one figure of some workloads as bars, a panel for each workload.
type chart struct {
	name, title string
	workloads   []string
	titles      []string
	figure      func(*PeerResult) Spread
	unit        string
	decimals    int
}

func charts() []chart {
	cpu := func(p *PeerResult) Spread { return p.CPUMicros }
	return []chart{
		{
			"cpu", "Processor time of the proxy for a request, µs (less is better)",
			[]string{"keepalive-1k", "keepalive-16k", "connection-1k"}, []string{"1 KB, kept connections", "16 KB, kept connections", "1 KB, a connection each"}, cpu, "µs", 1,
		},
		{
			"large", "Processor time of the proxy for 1 MB, µs (less is better)", []string{"keepalive-1m"}, []string{"1 MB, kept connections"}, cpu, "µs", 0,
		},
		{
			"p99", "99th percentile of the answer's time at a constant rate, from when a request was due (less is better)",
			[]string{"rate-1k"}, []string{"1 KB, constant rate"}, func(p *PeerResult) Spread {
				return Spread{p.P99Micros.Median / 1000, p.P99Micros.Min / 1000, p.P99Micros.Max / 1000}
			}, "ms", 1,
		},
		{
			"memory", "Memory of the proxy's processes with idle connections, MiB (less is better)",
			[]string{"idle-64", "idle-1000", "idle-10000"}, []string{"64 connections", "1,000 connections", "10,000 connections"},
			func(p *PeerResult) Spread { return p.ResidentMB }, "MiB", 0,
		},
		{
			"tls", "Processor time of the proxy with TLS 1.3, µs (less is better)", []string{"tls-1k", "tls-handshake"}, []string{"1 KB, kept connections", "a handshake and 1 KB"}, cpu, "µs", 0,
		},
		{
			"whole", "Processor time of a whole system that keeps sessions, for a request that changes one, µs (less is better)", []string{"msm"},
			[]string{"proxy, two Tomcats 9, two memcacheds"}, cpu, "µs", 0,
		},
	}
}

// The measures of a chart, in pixels.
const (
	chartWidth  = 760
	labelWidth  = 130
	barHeight   = 18
	barGap      = 6
	panelHead   = 30
	chartHead   = 40
	valueWidth  = 150
	barsFromTop = 8
)

type bar struct {
	Name, Value          string
	Y, TextY, Width      int
	WhiskerA, WhiskerB   int // the least and the most of the rounds
	Middle, NameX, TextX int
	Own                  bool
}

type panel struct {
	Title string
	Y     int
	Bars  []bar
}

// chartTemplate draws on white, in colours that print well and that the colour-blind can tell apart.
const chartTemplate = `<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" font-family="Helvetica,Arial,sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="14" y="24" font-size="15" font-weight="bold" fill="#222222">{{.Title}}</text>
{{- range .Panels}}
<text x="14" y="{{.Y}}" font-weight="bold" fill="#444444">{{.Title}}</text>
{{- range .Bars}}
<text x="{{.NameX}}" y="{{.TextY}}" text-anchor="end" fill="#222222">{{.Name}}</text>
<rect x="` + "{{$.Left}}" + `" y="{{.Y}}" width="{{.Width}}" height="{{$.BarHeight}}" fill="{{if .Own}}#0b6e4f{{else}}#9fb3c8{{end}}"/>
<line x1="{{.WhiskerA}}" y1="{{.Middle}}" x2="{{.WhiskerB}}" y2="{{.Middle}}" stroke="#333333"/>
<text x="{{.TextX}}" y="{{.TextY}}" fill="#222222">{{.Value}}</text>
{{- end}}
{{- end}}
<text x="14" y="{{.FootY}}" font-size="11" fill="#777777">{{.Foot}}</text>
</svg>
`

// draw returns the chart as SVG, nil where the report has none of its figures.
func (c chart) draw(r *Report) ([]byte, error) {
	y := chartHead
	var panels []panel
	for i, name := range c.workloads {
		w := r.workload(name)
		if w == nil {
			continue
		}
		bars := c.bars(w, y+panelHead)
		if len(bars) == 0 {
			continue
		}
		panels = append(panels, panel{Title: c.titles[i], Y: y + panelHead - barsFromTop, Bars: bars})
		y += panelHead + len(bars)*(barHeight+barGap)
	}
	if len(panels) == 0 {
		return nil, nil
	}
	parsed, err := template.New(c.name).Parse(chartTemplate)
	if err != nil {
		return nil, fmt.Errorf("cannot draw chart %q: %w", c.name, err)
	}
	var b bytes.Buffer
	err = parsed.Execute(&b, map[string]any{
		"Width": chartWidth, "Height": y + 30, "Title": c.title, "Panels": panels, "Left": labelWidth, "BarHeight": barHeight, "FootY": y + 20,
		"Foot": fmt.Sprintf("%s, %d cores, Linux %s, %s. Medians; the lines go from the least to the most of the rounds.",
			r.Began.Format("2006-01-02"), r.Machine.Cores, r.Machine.Kernel, r.Machine.Go),
	})
	if err != nil {
		return nil, fmt.Errorf("cannot draw chart %q: %w", c.name, err)
	}
	return b.Bytes(), nil
}

// bars lays out a panel's bars from y on; the longest fills the room.
func (c chart) bars(w *WorkloadResult, y int) (bars []bar) {
	most := 0.0
	for i := range w.Peers {
		most = max(most, c.figure(&w.Peers[i]).Max)
	}
	if most == 0 {
		return nil
	}
	scale := func(v float64) int { return int(v / most * (chartWidth - labelWidth - valueWidth)) }
	for i := range w.Peers {
		p := &w.Peers[i]
		if p.Name == forwarderName {
			continue // nobody can use it
		}
		s := c.figure(p)
		b := bar{
			Name: p.Name, Value: fmt.Sprintf("%.*f %s", c.decimals, s.Median, c.unit), Y: y, TextY: y + barHeight - 4, Middle: y + barHeight/2,
			Width: max(1, scale(s.Median)), WhiskerA: labelWidth + scale(s.Min), WhiskerB: labelWidth + scale(s.Max),
			NameX: labelWidth - 8, TextX: labelWidth + scale(s.Max) + 8, Own: len(p.Name) >= 7 && p.Name[:7] == "rehydra",
		}
		if s.Max == 0 {
			b.Value = "failed"
		}
		bars = append(bars, b)
		y += barHeight + barGap
	}
	return bars
}
