package api

import (
	_ "embed" // the built-in content
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Series is an item of the frontend's first page, which fails without one.
type Series struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Image    string    `json:"image"` // absolute URL, or a path of ours
	Articles []Article `json:"articles"`
}

// Article is an entry of a series.
type Article struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	URL   string `json:"url"` // absolute URL, or a path of ours
}

//go:embed series.json
var seriesJSON []byte

// DefaultSeries is the built-in content.
func DefaultSeries() []Series {
	series, err := parseSeries(seriesJSON)
	if err != nil {
		panic("api: built-in series: " + err.Error())
	}
	return series
}

// ReadSeries reads content of an operator's own from a file, in the form that
// /users/series/ answers.
func ReadSeries(file string) ([]Series, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read series: %w", err)
	}
	series, err := parseSeries(content)
	if err != nil {
		return nil, fmt.Errorf("series in %s: %w", file, err)
	}
	return series, nil
}

func parseSeries(content []byte) ([]Series, error) {
	var series []Series
	if err := json.Unmarshal(content, &series); err != nil {
		return nil, err
	}
	if len(series) == 0 {
		return nil, errors.New("there must be at least one")
	}
	for _, one := range series {
		if one.ID == "" || one.Name == "" || !webAddress(one.Image) {
			return nil, fmt.Errorf("series %q needs id, name and an image", one.ID)
		}
		for _, article := range one.Articles {
			if article.ID == "" || article.Title == "" || !webAddress(article.URL) {
				return nil, fmt.Errorf("article %q of series %q needs id, title and url", article.ID, one.ID)
			}
		}
	}
	return series, nil
}

// webAddress accepts what is safe to follow: http, https, or a path of ours.
func webAddress(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	if u.Scheme == "" {
		return u.Host == "" && len(u.Path) > 0 && u.Path[0] == '/'
	}
	return (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// series answers E11, whose URLs are absolute.
func (s *Server) series(w http.ResponseWriter, _ *http.Request) error {
	list := make([]Series, len(s.Series))
	for i, one := range s.Series {
		one.Image = s.absolute(one.Image)
		articles := make([]Article, len(one.Articles))
		for j, article := range one.Articles {
			article.URL = s.absolute(article.URL)
			articles[j] = article
		}
		one.Articles = articles
		list[i] = one
	}
	return show(w, list)
}

func (s *Server) absolute(address string) string {
	if strings.HasPrefix(address, "/") {
		return s.Config.PublicURL + address
	}
	return address
}
