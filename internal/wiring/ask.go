package wiring

import (
	"context"
	"maps"
	"time"

	"github.com/recall-milter/recall-milter/holdstore"
	"github.com/recall-milter/recall-milter/internal/config"
	"github.com/recall-milter/recall-milter/internal/correspondents"
	"github.com/recall-milter/recall-milter/internal/socketmap"
	"github.com/recall-milter/recall-milter/policy"
)

// Ask answers what the policy asks; a question without an answer is not known.
type Ask func(ctx context.Context, questions []policy.Question) map[policy.Question]policy.Answer

// Answers asks socketmaps, and the memory of correspondents for what is about them.
func Answers(remote *socketmap.Client, memory Ask) Ask {
	return func(ctx context.Context, questions []policy.Question) map[policy.Question]policy.Answer {
		var own, others []policy.Question
		for _, q := range questions {
			if correspondents.IsAbout(q) {
				own = append(own, q)
			} else {
				others = append(others, q)
			}
		}
		answers := remote.Ask(ctx, others)
		if len(own) > 0 {
			maps.Copy(answers, memory(ctx, own))
		}
		return answers
	}
}

// Memory looks correspondents up for a program that does not learn. It opens the store when somebody asks; while the
// store or its secret is away, nothing is known, and failed is told.
func Memory(c *config.Config, open func() (*holdstore.Store, error), failed func(error)) Ask {
	return func(ctx context.Context, questions []policy.Question) map[policy.Question]policy.Answer {
		store, err := open()
		if err != nil {
			failed(err)
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, memoryTime)
		defer cancel()
		secret, err := GatewaySecret(ctx, c, store)
		if err != nil {
			failed(err)
			return nil
		}
		book := correspondents.New(store, time.Duration(c.Hold.Remember), nil)
		book.Use(secret)
		return book.Ask(ctx, questions)
	}
}

// memoryTime is for all questions to the memory of one message.
const memoryTime = 5 * time.Second
