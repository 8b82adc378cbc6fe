package reactor

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// A question is how others learn of what is loop-confined: it goes to the loop by letter, the loop answers it
// in its turn, and the answer is a copy. Between two looks at its clients' input a loop opens at most
// questionsMax of them, and each does a bounded piece of work, 0.2 ms at most: what takes more is asked in
// pieces.

// questionsMax is how many questions may wait for one loop; who comes then waits outside. So one that stands
// still is not buried in questions. (chosen)
const questionsMax = 4

// windowMax is how many connections one question is about at most. (measured: see BenchmarkClientsQuestion)
const windowMax = 256

// ErrStopped is the error of a question to a server that has stopped.
var ErrStopped = errors.New("the server has stopped")

// query puts a question to each of the loops and returns the answers in their order. When some do not answer
// until ctx is done the error names them, and theirs are zero. Any goroutine may call it but a loop.
func query[T any](ctx context.Context, s *Server, loops []*loop, question func(*loop) T) ([]T, error) {
	answers, errs := make([]T, len(loops)), make([]error, len(loops))
	var wait sync.WaitGroup
	for i, l := range loops {
		wait.Go(func() { answers[i], errs[i] = queryOne(ctx, s, l, question) })
	}
	wait.Wait()
	return answers, errors.Join(errs...)
}

func queryOne[T any](ctx context.Context, s *Server, l *loop, question func(*loop) T) (answer T, err error) {
	select {
	case l.watch.desk <- struct{}{}:
	case <-ctx.Done():
		return answer, fmt.Errorf("loop %d does not answer: %w", l.index, ctx.Err())
	case <-s.stopped:
		return answer, ErrStopped
	}
	answers := make(chan T, 1) // so that one which comes too late keeps nobody
	l.post(letter{kind: letterCall, call: func() {
		defer func() { <-l.watch.desk }()
		defer close(answers)
		if ctx.Err() == nil {
			answers <- question(l)
		}
	}})
	select {
	case answer, answered := <-answers:
		if !answered && ctx.Err() == nil {
			return answer, fmt.Errorf("loop %d: %w", l.index, errInternal)
		}
		if !answered {
			return answer, fmt.Errorf("loop %d does not answer: %w", l.index, ctx.Err())
		}
		return answer, nil
	case <-ctx.Done():
		return answer, fmt.Errorf("loop %d does not answer: %w", l.index, ctx.Err())
	case <-s.stopped:
		return answer, ErrStopped
	}
}
