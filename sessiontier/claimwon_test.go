package sessiontier

import (
	"testing"
)

// refused is a session that was claimed for node2, on the first and the third of three nodes. The former owner's save was refused, but is on the second
// node: the claim did not reach that one.
type refused struct {
	k           Key
	servers     []*memcachedServer
	nodes       rank  // of k
	former, new proxy // through which the owners save
}

func startRefused(t *testing.T) *refused {
	t.Helper()
	servers := startBehindDoors(t, 3)
	s := &refused{k: key("won"), servers: servers, former: openTier(t, servers, nil)}
	s.nodes = s.former.rank(s.k.storeKey())
	s.former.mustSave(t, s.k, rec("1.1", "node1", "old"))
	s.new = openWithout(t, servers, int(s.nodes[1]))
	s.new.mustClaim(t, s.k, "node2", "2.0")
	s.former.wantSave(t, s.k, rec("1.2", "node1", "refused"), ErrFenced)
	if got := s.former.held(t, s.k)[s.former.nodes[s.nodes[1]].name]; got != "1.2" {
		t.Fatalf("the second node holds %s, want 1.2", got)
	}
	return s
}

// TestWonClaimFences: what was refused lies beside the claim, in any number of copies, and brings neither the former owner back nor anything that the new
// one has changed into doubt.
func TestWonClaimFences(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(*testing.T, *refused){
		"at once": func(*testing.T, *refused) {},
		"refreshed": func(t *testing.T, s *refused) {
			if err := openTier(t, s.servers, nil).Touch(ctxFor(t, patience), s.k); err != nil {
				t.Fatal(err)
			}
		},
		"healed, all nodes restarted": func(t *testing.T, s *refused) {
			p := openHealing(t, s.servers, nil)
			p.waitHealed(t, 0, 0)
			for _, i := range s.nodes {
				p.restartEmpty(t, s.servers, int(i))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startRefused(t)
			meanwhile(t, s)
			s.former.wantSave(t, s.k, rec("1.3", "node1", "refused"), ErrFenced)
			s.new.mustSave(t, s.k, rec("2.1", "node2", "new"))
			s.former.wantSave(t, s.k, rec("1.4", "node1", "refused"), ErrFenced)
			p := openTier(t, s.servers, nil)
			p.wantRecord(t, s.k, "2.1", "node2", "new")
			if r := p.mustClaim(t, s.k, "node3", "3.0"); string(r.State) != "new" {
				t.Errorf("claimed state %q, want what the new owner has saved", r.State)
			}
		})
	}
}

// TestNewOwnersFirstReport: the new owner has changed nothing. That it reports the version it was given shows that the claim was won.
func TestNewOwnersFirstReport(t *testing.T) {
	t.Parallel()
	s := startRefused(t)
	s.new.mustSave(t, s.k, rec("2.0", "node2", "old"))
	p := openTier(t, s.servers, nil)
	p.wantRecord(t, s.k, "2.0", "node2", "old")
	if r := p.mustClaim(t, s.k, "node3", "3.0"); string(r.State) != "old" {
		t.Errorf("claimed state %q, want what the new owner has", r.State)
	}
}

// TestRefusedSaveMayBeHandedOver: the new owner is out before it has stored anything. Nobody can tell any more whether what the former one saved was refused, so it
// is handed over. From then on it stays, whatever the new owner, which is not out after all, stores of what it made without it.
func TestRefusedSaveMayBeHandedOver(t *testing.T) {
	t.Parallel()
	s := startRefused(t)
	other := openWithout(t, s.servers, int(s.nodes[2]))
	if r := other.mustClaim(t, s.k, "node3", "3.0"); string(r.State) != "refused" {
		t.Fatalf("claimed state %q, want the newest that there is", r.State)
	}
	s.new.wantSave(t, s.k, rec("2.1", "node2", "late"), ErrFenced)
	if got := s.former.held(t, s.k)[s.former.nodes[s.nodes[2]].name]; got != "2.1" {
		t.Fatalf("the third node holds %s, want 2.1", got)
	}
	p := openTier(t, s.servers, nil)
	p.wantRecord(t, s.k, "3.0", "node3", "refused")
	if r := p.mustClaim(t, s.k, "node1", "4.0"); string(r.State) != "refused" {
		t.Errorf("claimed state %q, want what node3 has", r.State)
	}
}
