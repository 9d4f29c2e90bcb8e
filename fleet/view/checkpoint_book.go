package view

func (c *coder) book(l *book) {
	dict(c, &l.lanes, func(c *coder, v *[]*release) { list(c, v, made((*coder).release)) })
	dict(c, &l.artifacts, func(c *coder, v *[]*artifact) { list(c, v, made((*coder).artifact)) })
}

func (c *coder) release(r *release) {
	c.word(&r.word)
	c.json(&r.state)
	dict(c, &r.targets, func(c *coder, t *target) {
		c.word(&t.word)
		c.json(&t.of)
	})
	if c.reading && r.targets == nil {
		r.targets = map[string]target{}
	}
}

func (c *coder) artifact(a *artifact) {
	c.word(&a.word)
	c.json(&a.of)
}

func (c *coder) word(w *word) {
	c.flag(&w.final)
	number(c, &w.at)
	c.uint(&w.sequence)
}
