// Package golden keeps files that show what others have stored or read: shapes that
// are added, never changed and never taken away.
//
// It imports nothing of daybook, so that the tests inside of every package can use it.
package golden
