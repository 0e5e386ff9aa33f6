package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// clockTick is the unit of CPU times in /proc: USER_HZ, which Linux fixes at 100 for everything that a program sees.
const clockTick = 10 * time.Millisecond

// Usage is what a process and all of its descendants have used since they began.
type Usage struct {
	User, System time.Duration
	Resident     int64                    // bytes in memory now
	Parts        map[string]time.Duration // of a whole system: the time of each part of it
}

// CPU is the time on the processors, user and system together.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// A procStat is what we read of one line of /proc/PID/stat (proc_pid_stat(5)).
type procStat struct {
	parent       int
	user, system int64 // ticks; those of children that ended and were waited for included
	pages        int64 // resident
}

// processes are those of the machine by their ids.
type processes map[int]procStat

// tree adds up the process tree below and with pid. A descendant whose parent died before it belongs to another tree and is
// not seen; none of the peers leaves one.
func (all processes) tree(pid int) (sum Usage, err error) {
	if _, ok := all[pid]; !ok {
		return sum, fmt.Errorf("cannot find process %d: %w", pid, fs.ErrNotExist)
	}
	for id, stat := range all {
		if !all.descends(id, pid) {
			continue
		}
		sum.User += time.Duration(stat.user) * clockTick
		sum.System += time.Duration(stat.system) * clockTick
		sum.Resident += stat.pages * int64(os.Getpagesize())
	}
	return sum, nil
}

// listProcesses reads what there is of every process.
func listProcesses() (processes, error) {
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	all := make(processes, len(entries))
	for _, path := range entries {
		line, err := os.ReadFile(path)
		if err != nil {
			continue // it ended while we looked
		}
		id, stat, err := parseStat(line)
		if err != nil {
			return nil, fmt.Errorf("cannot read %q: %w", path, err)
		}
		all[id] = stat
	}
	return all, nil
}

// treeMemory returns the memory of the process tree below and with pid, in bytes. What its processes share counts once, not once in each;
// programs and libraries count as the process that has most of them holds them, also where other trees have them as well.
func treeMemory(pid int) (int64, error) {
	all, err := listProcesses()
	if err != nil {
		return 0, err
	}
	var own, files int64
	for id := range all {
		if !all.descends(id, pid) {
			continue
		}
		// See proc_pid_smaps(5) and proc_pid_status(5): Pss is shared out among those who have it.
		figures, err := readKilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", id), "Pss:", "Pss_File:")
		if err != nil {
			return 0, err
		}
		mapped, err := readKilobytes(fmt.Sprintf("/proc/%d/status", id), "RssFile:")
		if err != nil {
			return 0, err
		}
		own += figures[0] - figures[1]
		files = max(files, mapped[0])
	}
	return own + files, nil
}

// readKilobytes returns, in bytes, the figures of the lines that begin with these names.
func readKilobytes(path string, names ...string) ([]int64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read a process's memory: %w", err)
	}
	figures := make([]int64, len(names))
	for i, name := range names {
		_, after, found := bytes.Cut(text, []byte("\n"+name))
		fields := bytes.Fields(after)
		if !found || len(fields) < 2 {
			return nil, fmt.Errorf("cannot find %q in %q", name, path)
		}
		kilobytes, err := strconv.ParseInt(string(fields[0]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("cannot read %q in %q: %w", name, path, err)
		}
		figures[i] = kilobytes << 10
	}
	return figures, nil
}

// descends tells whether id is ancestor or one of its descendants.
func (all processes) descends(id, ancestor int) bool {
	for depth := 0; id > 1 && depth < len(all); depth++ {
		if id == ancestor {
			return true
		}
		id = all[id].parent
	}
	return false
}

// parseStat reads /proc/PID/stat. The command's name is in brackets and may hold blanks and brackets itself.
func parseStat(line []byte) (pid int, s procStat, err error) {
	open, end := bytes.IndexByte(line, '('), bytes.LastIndexByte(line, ')')
	if open < 0 || end < open {
		return 0, s, errors.New("no command in brackets")
	}
	if pid, err = strconv.Atoi(string(bytes.TrimSpace(line[:open]))); err != nil {
		return 0, s, fmt.Errorf("cannot read process id: %w", err)
	}
	fields := bytes.Fields(line[end+1:]) // fields[0] is the third of the manual page's list, the state
	if len(fields) < 22 {
		return 0, s, fmt.Errorf("%d fields after the command, wanted 22", len(fields))
	}
	number := func(manual int) int64 {
		n, parseErr := strconv.ParseInt(string(fields[manual-3]), 10, 64)
		err = errors.Join(err, parseErr)
		return n
	}
	s.parent = int(number(4))
	s.user = number(14) + number(16)
	s.system = number(15) + number(17)
	s.pages = number(24)
	return pid, s, err
}
