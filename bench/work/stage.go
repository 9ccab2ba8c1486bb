package work

// stage is where a work puts its data and its servers; strike removes all of it.
type stage struct {
	dir    string
	undone []func()
}

// stage makes one.
func (e *Env) stage(name string) (*stage, error) {
	dir, remove, err := e.temp(name)
	if err != nil {
		return nil, err
	}
	return &stage{dir: dir, undone: []func(){remove}}, nil
}

// defers adds something to do at the end, before what was added earlier.
func (s *stage) defers(f func()) { s.undone = append(s.undone, f) }

func (s *stage) strike() {
	for i := len(s.undone) - 1; i >= 0; i-- {
		s.undone[i]()
	}
}
