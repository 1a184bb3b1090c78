package config
import ("testing";"fmt")
type cors struct { Origins StringList `yaml:"origins" doc:"Origins." required:"true"`; Age Duration `yaml:"max_age" doc:"Age." min:"1s"`; Levels map[string]int `yaml:"levels" doc:"L" min:"1"`; Rate float64 `yaml:"rate" doc:"R" min:"0" max:"1"`; Tiers []struct{ Limit int `yaml:"limit" doc:"Lim" min:"1"` } `yaml:"tiers" doc:"T"` }
func TestScratch(t *testing.T) {
 b, err := Schema(map[string]any{"cors": &cors{Age: seconds(5)}})
 fmt.Println(string(b)[:3000], len(b), err)
 fmt.Println(Reference(map[string]any{"cors": &cors{Age: seconds(5)}}))
}
