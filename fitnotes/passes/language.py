"""The words that a page adds to its author's own: "Figure", "Theorem", "and", in the language of the note.

A note may choose its own, as Quarto (``crossref: {fig-prefix: Fig.}``) and pandoc-crossref (``figPrefix``) have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import panflute as pf

from fitnotes.document.read import plain

# What has a number, by the prefixes of its labels.
KINDS = {
    "fig": "Figure", "tbl": "Table", "tab": "Table", "eq": "Equation", "sec": "Section", "lst": "Listing",
}  # fmt: skip
# Language → word → (one, several); a word that is not there is English.
_ORDER = (
    "Figure", "Table", "Equation", "Section", "Listing", "Theorem", "Lemma", "Corollary", "Proposition",
    "Conjecture", "Definition", "Example", "Exercise", "Remark",
)  # fmt: skip
_NAMES = {
    "en": "Figure|Figures Table|Tables Equation|Equations Section|Sections Listing|Listings Theorem|Theorems "
    "Lemma|Lemmas Corollary|Corollaries Proposition|Propositions Conjecture|Conjectures Definition|Definitions "
    "Example|Examples Exercise|Exercises Remark|Remarks",
    "de": "Abbildung|Abbildungen Tabelle|Tabellen Gleichung|Gleichungen Abschnitt|Abschnitte Listing|Listings "
    "Satz|Sätze Lemma|Lemmata Korollar|Korollare Proposition|Propositionen Vermutung|Vermutungen "
    "Definition|Definitionen Beispiel|Beispiele Übung|Übungen Bemerkung|Bemerkungen",
    "fr": "Figure|Figures Tableau|Tableaux Équation|Équations Section|Sections Listing|Listings Théorème|Théorèmes "
    "Lemme|Lemmes Corollaire|Corollaires Proposition|Propositions Conjecture|Conjectures Définition|Définitions "
    "Exemple|Exemples Exercice|Exercices Remarque|Remarques",
    "es": "Figura|Figuras Tabla|Tablas Ecuación|Ecuaciones Sección|Secciones Listado|Listados Teorema|Teoremas "
    "Lema|Lemas Corolario|Corolarios Proposición|Proposiciones Conjetura|Conjeturas Definición|Definiciones "
    "Ejemplo|Ejemplos Ejercicio|Ejercicios Observación|Observaciones",
    "it": "Figura|Figure Tabella|Tabelle Equazione|Equazioni Sezione|Sezioni Listato|Listati Teorema|Teoremi "
    "Lemma|Lemmi Corollario|Corollari Proposizione|Proposizioni Congettura|Congetture Definizione|Definizioni "
    "Esempio|Esempi Esercizio|Esercizi Osservazione|Osservazioni",
    "pt": "Figura|Figuras Tabela|Tabelas Equação|Equações Seção|Seções Listagem|Listagens Teorema|Teoremas "
    "Lema|Lemas Corolário|Corolários Proposição|Proposições Conjectura|Conjecturas Definição|Definições "
    "Exemplo|Exemplos Exercício|Exercícios Observação|Observações",
    "nl": "Figuur|Figuren Tabel|Tabellen Vergelijking|Vergelijkingen Paragraaf|Paragrafen Listing|Listings "
    "Stelling|Stellingen Lemma|Lemma’s Gevolg|Gevolgen Propositie|Proposities Vermoeden|Vermoedens "
    "Definitie|Definities Voorbeeld|Voorbeelden Opgave|Opgaven Opmerking|Opmerkingen",
    "he": "איור|איורים טבלה|טבלאות משוואה|משוואות סעיף|סעיפים קוד|קודים משפט|משפטים למה|למות מסקנה|מסקנות טענה|טענות "
    "השערה|השערות הגדרה|הגדרות דוגמה|דוגמאות תרגיל|תרגילים הערה|הערות",
    "ar": "شكل|أشكال جدول|جداول معادلة|معادلات قسم|أقسام برنامج|برامج مبرهنة|مبرهنات تمهيدية|تمهيديات نتيجة|نتائج "
    "قضية|قضايا حدسية|حدسيات تعريف|تعريفات مثال|أمثلة تمرين|تمارين ملاحظة|ملاحظات",
    "no": "Figur|Figurene Tabell|Tabellene Ligning|Ligningene Avsnitt|Avsnittene Kode|Kodene Teorem|Teoremene "
    "Lemma|Lemmaene Korollar|Korollarene Proposisjon|Proposisjonene Formodning|Formodningene Definisjon|Definisjonene "
    "Eksempel|Eksemplene Oppgave|Oppgavene Merknad|Merknadene",
    "sv": "Figur|Figurerna Tabell|Tabellerna Ekvation|Ekvationerna Avsnitt|Avsnitten Kod|Koderna Sats|Satserna "
    "Lemma|Lemmana Korollarium|Korollarierna Proposition|Propositionerna Förmodan|Förmodandena "
    "Definition|Definitionerna Exempel|Exemplen Övning|Övningarna Anmärkning|Anmärkningarna",
}
_OTHERS: dict[str, dict[str, str]] = {
    "en": {},
    "de": {"and": "und", "Proof": "Beweis", "Solution": "Lösung", "References": "Literatur", "Note": "Hinweis",
           "Tip": "Tipp", "Important": "Wichtig", "Warning": "Warnung", "Caution": "Vorsicht"},
    "fr": {"and": "et", "Proof": "Démonstration", "Solution": "Solution", "References": "Références",
           "Note": "Note", "Tip": "Astuce", "Important": "Important", "Warning": "Avertissement",
           "Caution": "Attention"},
    "es": {"and": "y", "Proof": "Demostración", "Solution": "Solución", "References": "Referencias",
           "Note": "Nota", "Tip": "Consejo", "Important": "Importante", "Warning": "Advertencia",
           "Caution": "Precaución"},
    "it": {"and": "e", "Proof": "Dimostrazione", "Solution": "Soluzione", "References": "Bibliografia",
           "Note": "Nota", "Tip": "Suggerimento", "Important": "Importante", "Warning": "Avvertenza",
           "Caution": "Attenzione"},
    "pt": {"and": "e", "Proof": "Demonstração", "Solution": "Solução", "References": "Referências",
           "Note": "Nota", "Tip": "Dica", "Important": "Importante", "Warning": "Aviso", "Caution": "Cuidado"},
    "nl": {"and": "en", "Proof": "Bewijs", "Solution": "Oplossing", "References": "Referenties",
           "Note": "Opmerking", "Tip": "Tip", "Important": "Belangrijk", "Warning": "Waarschuwing",
           "Caution": "Voorzichtig"},
    "he": {"and": "ו־", "Proof": "הוכחה", "Solution": "פתרון", "References": "מקורות", "Note": "הערה", "Tip": "טיפ",
           "Important": "חשוב", "Warning": "אזהרה", "Caution": "זהירות"},
    "ar": {"and": "و", "Proof": "برهان", "Solution": "حل", "References": "المراجع", "Note": "ملاحظة", "Tip": "نصيحة",
           "Important": "مهم", "Warning": "تحذير", "Caution": "تنبيه"},
    "no": {"and": "og", "Proof": "Bevis", "Solution": "Løsning", "References": "Referanser", "Note": "Merk",
           "Tip": "Tips", "Important": "Viktig", "Warning": "Advarsel", "Caution": "Forsiktig"},
    "sv": {"and": "och", "Proof": "Bevis", "Solution": "Lösning", "References": "Referenser", "Note": "Obs",
           "Tip": "Tips", "Important": "Viktigt", "Warning": "Varning", "Caution": "Försiktigt"},
}  # fmt: skip
LANGUAGES = tuple(_NAMES)
# pandoc-crossref's names of its own keys.
_CROSSREF = {"fig": ("figure", "fig"), "tbl": ("table", "tbl"), "eq": ("equation", "eqn"),
             "lst": ("listing", "lst"), "sec": ("section", "sec")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """``prefixes``: kind → (one, several) as references begin; ``titles``: kind → as captions begin."""

    language: str = "en"
    prefixes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    chapters: bool = False

    def prefix(self, kind: str, *, many: bool = False) -> str:
        """How a reference to something of this kind begins.

        >>> Words("de").prefix("Figure", many=True)
        'Abbildungen'
        """
        if kind in self.prefixes:
            return self.prefixes[kind][many]
        one, several = _pair(self.language, kind)
        return several if many else one

    def title(self, kind: str) -> str:
        """How its caption begins."""
        return self.titles.get(kind) or _pair(self.language, kind)[0]

    def __call__(self, word: str) -> str:
        """Any other word of ours.

        >>> Words("fr")("and")
        'et'
        """
        return _OTHERS[self.language].get(word, word)


def _pair(language: str, kind: str) -> tuple[str, str]:
    names = [(one, several) for one, several in (name.split("|") for name in _NAMES[language].split())]
    if kind in _ORDER:
        return names[_ORDER.index(kind)]
    plural = dict(names).get(kind, f"{kind}s" if language == "en" else kind)  # a title that is translated
    return _OTHERS[language].get(kind, kind), plural


def read_words(metadata: pf.DictContainer) -> Words:
    """The words for one note, from ``lang``, ``crossref`` and pandoc-crossref's keys; takes the latter out."""
    language = str(plain(metadata["lang"])) if "lang" in metadata else "en"
    language = language.replace("_", "-").split("-")[0].lower()
    language = {"nb": "no", "nn": "no", "iw": "he"}.get(language, language)
    own = plain(metadata.pop("crossref")) if "crossref" in metadata else {}
    own = own if isinstance(own, dict) else {}
    prefixes: dict[str, tuple[str, str]] = {}
    titles: dict[str, str] = {}
    for key, (title, prefix) in _CROSSREF.items():
        given = own.get(f"{key}-prefix")
        if f"{prefix}Prefix" in metadata:
            given = plain(metadata.pop(f"{prefix}Prefix"))
        if given:
            forms = [str(word) for word in given] if isinstance(given, list) else [str(given)]
            prefixes[KINDS[key]] = (forms[0], forms[-1])
        word = own.get(f"{key}-title")
        if f"{title}Title" in metadata:
            word = plain(metadata.pop(f"{title}Title"))
        if word:
            titles[KINDS[key]] = str(word)
            prefixes.setdefault(KINDS[key], (str(word), _several(language, KINDS[key], str(word))))
    chapters = own.get("chapters")
    if "chapters" in metadata:
        chapters = plain(metadata.pop("chapters"))
    return Words(
        language if language in LANGUAGES else "en",
        prefixes,
        titles,
        str(chapters).lower() in ("true", "yes"),
    )


def _several(language: str, kind: str, title: str) -> str:
    one, several = _pair(language if language in LANGUAGES else "en", kind)
    return several if title == one else title
