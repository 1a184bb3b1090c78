package tickets

import "yett/examples/psa/services/kit"

// Comment is what somebody says on a ticket.
type Comment struct {
	kit.Meta
	TicketID    string `json:"ticketId"`
	AuthorID    string `json:"authorId"` // user ID
	AuthorEmail string `json:"authorEmail"`
	CommentFields
}

// CommentFields are what a client says about a comment.
type CommentFields struct {
	Body string `json:"body"`
}

func (c *Comment) apply(edit kit.Edit) error {
	if err := kit.Apply(edit, &c.CommentFields); err != nil {
		return err
	}
	var check kit.Check
	check.Text("body", c.Body, true, 10_000)
	return check.Err()
}

func newComments() *kit.Collection[Comment] {
	return kit.NewCollection("comment", func(c *Comment) *kit.Meta { return &c.Meta }, nil)
}

func (s *service) listComments(c *kit.Call) (kit.Reply, error) {
	page, err := kit.ParsePage(c.URL.Query())
	if err != nil {
		return kit.Reply{}, err
	}
	ticket, err := s.visibleTicket(c, c.PathValue("id"))
	if err != nil {
		return kit.Reply{}, err
	}
	return kit.OK(s.comments.List(c.Scope(), page, func(comment *Comment) bool {
		return comment.TicketID == ticket.ID
	})), nil
}

func (s *service) createComment(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	ticket, err := s.visibleTicket(c, c.PathValue("id"))
	if err != nil {
		return kit.Reply{}, err
	}
	comment := Comment{
		Meta: kit.NewMeta(c.Identity.TenantID), TicketID: ticket.ID,
		AuthorID: c.Identity.UserID, AuthorEmail: c.Identity.Email,
	}
	if err := comment.apply(edit); err != nil {
		return kit.Reply{}, err
	}
	if err := s.comments.Insert(comment); err != nil {
		return kit.Reply{}, err
	}
	return kit.Created("/api/v1/comments/"+comment.ID, comment), nil
}

// getComment shows a comment to whoever sees its ticket.
func (s *service) getComment(c *kit.Call) (kit.Reply, error) {
	comment, err := s.visibleComment(c)
	return kit.OK(comment), err
}

func (s *service) visibleComment(c *kit.Call) (Comment, error) {
	comment, err := s.comments.Get(c.Scope(), c.PathValue("id"))
	if err != nil {
		return Comment{}, err
	}
	if _, err := s.visibleTicket(c, comment.TicketID); err != nil {
		return Comment{}, s.comments.Missing()
	}
	return comment, nil
}

// ownComment finds a comment that the caller may change: its author may, and whoever works on every ticket.
func (s *service) ownComment(c *kit.Call) error {
	comment, err := s.visibleComment(c)
	if err != nil {
		return err
	}
	if comment.AuthorID != c.Identity.UserID && !c.Identity.Permissions[kit.PermTicketsAll] {
		return kit.Forbidden(kit.CodeForbidden, "Only its author can change a comment.")
	}
	return nil
}

func (s *service) changeComment(c *kit.Call) (kit.Reply, error) {
	edit, err := kit.ReadEdit(c)
	if err != nil {
		return kit.Reply{}, err
	}
	if err := s.ownComment(c); err != nil {
		return kit.Reply{}, err
	}
	comment, err := s.comments.Update(c.Scope(), c.PathValue("id"), func(comment *Comment) error {
		return comment.apply(edit)
	})
	return kit.OK(comment), err
}

func (s *service) deleteComment(c *kit.Call) (kit.Reply, error) {
	if err := s.ownComment(c); err != nil {
		return kit.Reply{}, err
	}
	_, err := s.comments.Delete(c.Scope(), c.PathValue("id"), func(*Comment) error { return nil })
	return kit.NoContent(), err
}
