"""The published systems, one file each; ``RECIPES`` is the table that names them."""

from nst_graph.errors import ConfigError, choices_text
from nst_graph.recipes.base import Recipe
from nst_graph.recipes.coursera import COURSERA
from nst_graph.recipes.keras_blog import KERAS_BLOG
from nst_graph.recipes.keras_io import KERAS_IO
from nst_graph.recipes.tf2_blog import TF2_BLOG
from nst_graph.recipes.tf_eager import TF_EAGER

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (COURSERA, KERAS_BLOG, KERAS_IO, TF_EAGER, TF2_BLOG)
}


def find_recipe(name: object) -> Recipe:
    """The recipe of that name.

    Raises:
        ConfigError: there is none.
    """
    recipe = RECIPES.get(name) if isinstance(name, str) else None
    if recipe is None:
        raise ConfigError(f"unknown recipe {name!r}", remedy=choices_text(name, RECIPES))
    return recipe


__all__ = ["RECIPES", "Recipe", "find_recipe"]
