"""Generic drug names with doses that a clinician would write for them.

Each line is `name: dose, dose`. Names are international or United States
generic names; nothing here is advice on dosing.
"""

ORAL = """
metformin: 500 mg, 850 mg, 1000 mg
lisinopril: 5 mg, 10 mg, 20 mg, 40 mg
enalapril: 5 mg, 10 mg
ramipril: 2.5 mg, 5 mg
losartan: 25 mg, 50 mg, 100 mg
valsartan: 80 mg, 160 mg
candesartan: 8 mg, 16 mg
amlodipine: 5 mg, 10 mg
nifedipine: 30 mg, 60 mg
diltiazem: 120 mg, 180 mg
verapamil: 80 mg, 240 mg
metoprolol: 25 mg, 50 mg, 100 mg
atenolol: 25 mg, 50 mg
carvedilol: 3.125 mg, 6.25 mg, 12.5 mg
bisoprolol: 2.5 mg, 5 mg
propranolol: 10 mg, 40 mg
labetalol: 100 mg, 200 mg
furosemide: 20 mg, 40 mg, 80 mg
bumetanide: 1 mg, 2 mg
torsemide: 10 mg, 20 mg
hydrochlorothiazide: 12.5 mg, 25 mg
chlorthalidone: 12.5 mg, 25 mg
spironolactone: 25 mg, 50 mg
eplerenone: 25 mg, 50 mg
hydralazine: 25 mg, 50 mg
clonidine: 0.1 mg, 0.2 mg
isosorbide mononitrate: 30 mg, 60 mg
ranolazine: 500 mg, 1000 mg
digoxin: 125 mcg, 250 mcg
amiodarone: 200 mg, 400 mg
sotalol: 80 mg, 120 mg
flecainide: 50 mg, 100 mg
atorvastatin: 20 mg, 40 mg, 80 mg
simvastatin: 20 mg, 40 mg
rosuvastatin: 5 mg, 10 mg
pravastatin: 40 mg, 80 mg
ezetimibe: 10 mg
fenofibrate: 145 mg
gemfibrozil: 600 mg
aspirin: 81 mg, 325 mg
clopidogrel: 75 mg
ticagrelor: 60 mg, 90 mg
prasugrel: 5 mg, 10 mg
warfarin: 2 mg, 2.5 mg, 5 mg
apixaban: 2.5 mg, 5 mg
rivaroxaban: 15 mg, 20 mg
dabigatran: 110 mg, 150 mg
glipizide: 5 mg, 10 mg
glyburide: 2.5 mg, 5 mg
glimepiride: 1 mg, 4 mg
pioglitazone: 15 mg, 30 mg
sitagliptin: 50 mg, 100 mg
empagliflozin: 10 mg, 25 mg
dapagliflozin: 5 mg, 10 mg
levothyroxine: 50 mcg, 75 mcg, 112 mcg
methimazole: 5 mg, 10 mg
prednisone: 5 mg, 20 mg, 40 mg
prednisolone: 5 mg, 30 mg
dexamethasone: 2 mg, 4 mg
hydrocortisone: 10 mg, 20 mg
alendronate: 10 mg, 70 mg
omeprazole: 20 mg, 40 mg
pantoprazole: 20 mg, 40 mg
esomeprazole: 20 mg, 40 mg
famotidine: 20 mg, 40 mg
sucralfate: 1 g
ondansetron: 4 mg, 8 mg
metoclopramide: 5 mg, 10 mg
prochlorperazine: 5 mg, 10 mg
loperamide: 2 mg
senna: 8.6 mg
docusate: 100 mg
lactulose: 20 g
mesalamine: 800 mg, 1.2 g
amoxicillin: 250 mg, 500 mg, 875 mg
cephalexin: 250 mg, 500 mg
cefuroxime: 250 mg, 500 mg
azithromycin: 250 mg, 500 mg
clarithromycin: 250 mg, 500 mg
doxycycline: 100 mg
minocycline: 50 mg, 100 mg
ciprofloxacin: 250 mg, 500 mg
levofloxacin: 500 mg, 750 mg
moxifloxacin: 400 mg
clindamycin: 150 mg, 300 mg
metronidazole: 250 mg, 500 mg
nitrofurantoin: 50 mg, 100 mg
trimethoprim: 100 mg, 200 mg
linezolid: 600 mg
rifampin: 300 mg, 600 mg
isoniazid: 300 mg
ethambutol: 800 mg, 1200 mg
fluconazole: 150 mg, 200 mg
voriconazole: 200 mg
terbinafine: 250 mg
acyclovir: 400 mg, 800 mg
valacyclovir: 500 mg, 1 g
oseltamivir: 30 mg, 75 mg
hydroxychloroquine: 200 mg, 400 mg
methotrexate: 7.5 mg, 15 mg
leflunomide: 10 mg, 20 mg
sulfasalazine: 500 mg, 1 g
azathioprine: 50 mg, 100 mg
mycophenolate: 500 mg, 1 g
tacrolimus: 0.5 mg, 1 mg
cyclosporine: 25 mg, 100 mg
allopurinol: 100 mg, 300 mg
febuxostat: 40 mg, 80 mg
colchicine: 0.6 mg
ibuprofen: 400 mg, 600 mg, 800 mg
naproxen: 250 mg, 500 mg
meloxicam: 7.5 mg, 15 mg
celecoxib: 100 mg, 200 mg
diclofenac: 50 mg, 75 mg
indomethacin: 25 mg, 50 mg
acetaminophen: 325 mg, 650 mg, 1 g
tramadol: 50 mg, 100 mg
oxycodone: 5 mg, 10 mg
hydromorphone: 2 mg, 4 mg
codeine: 15 mg, 30 mg
methadone: 5 mg, 10 mg
buprenorphine: 2 mg, 8 mg
naltrexone: 50 mg
gabapentin: 100 mg, 300 mg, 600 mg
pregabalin: 50 mg, 75 mg, 150 mg
duloxetine: 30 mg, 60 mg
venlafaxine: 37.5 mg, 75 mg
sertraline: 25 mg, 50 mg, 100 mg
fluoxetine: 10 mg, 20 mg
paroxetine: 10 mg, 20 mg
citalopram: 10 mg, 20 mg
escitalopram: 5 mg, 10 mg
bupropion: 150 mg, 300 mg
mirtazapine: 7.5 mg, 15 mg
trazodone: 50 mg, 100 mg
amitriptyline: 10 mg, 25 mg
nortriptyline: 10 mg, 25 mg
buspirone: 5 mg, 10 mg
lorazepam: 0.5 mg, 1 mg
clonazepam: 0.5 mg, 1 mg
diazepam: 2 mg, 5 mg
zolpidem: 5 mg, 10 mg
melatonin: 3 mg, 5 mg
quetiapine: 25 mg, 100 mg
olanzapine: 5 mg, 10 mg
risperidone: 0.5 mg, 2 mg
aripiprazole: 5 mg, 10 mg
haloperidol: 1 mg, 5 mg
clozapine: 25 mg, 100 mg
lithium: 300 mg, 450 mg
lamotrigine: 25 mg, 100 mg
levetiracetam: 500 mg, 750 mg
carbamazepine: 100 mg, 200 mg
phenytoin: 100 mg, 300 mg
topiramate: 25 mg, 50 mg
valproate: 250 mg, 500 mg
lacosamide: 50 mg, 100 mg
donepezil: 5 mg, 10 mg
memantine: 5 mg, 10 mg
ropinirole: 0.25 mg, 1 mg
pramipexole: 0.125 mg, 0.5 mg
baclofen: 5 mg, 10 mg
tizanidine: 2 mg, 4 mg
cyclobenzaprine: 5 mg, 10 mg
sumatriptan: 50 mg, 100 mg
rizatriptan: 5 mg, 10 mg
cetirizine: 5 mg, 10 mg
loratadine: 10 mg
fexofenadine: 60 mg, 180 mg
hydroxyzine: 10 mg, 25 mg
montelukast: 4 mg, 10 mg
benzonatate: 100 mg, 200 mg
guaifenesin: 600 mg
tamsulosin: 0.4 mg
finasteride: 1 mg, 5 mg
oxybutynin: 5 mg, 10 mg
solifenacin: 5 mg, 10 mg
sildenafil: 25 mg, 50 mg
tamoxifen: 10 mg, 20 mg
anastrozole: 1 mg
letrozole: 2.5 mg
bicalutamide: 50 mg
capecitabine: 500 mg, 1500 mg
imatinib: 100 mg, 400 mg
potassium chloride: 10 mEq, 20 mEq
magnesium oxide: 400 mg
ferrous sulfate: 325 mg
folic acid: 1 mg
cholecalciferol: 1000 units, 2000 units
"""

INJECTED = """
insulin glargine: 10 units, 18 units, 24 units
insulin lispro: 4 units, 6 units
insulin detemir: 12 units, 20 units
liraglutide: 0.6 mg, 1.2 mg
enoxaparin: 40 mg, 60 mg, 80 mg
dalteparin: 5000 units
heparin: 5000 units
fondaparinux: 2.5 mg
ceftriaxone: 1 g, 2 g
cefepime: 1 g, 2 g
cefazolin: 1 g, 2 g
vancomycin: 1 g, 1250 mg
meropenem: 500 mg, 1 g
ertapenem: 1 g
ampicillin: 1 g, 2 g
nafcillin: 2 g
gentamicin: 80 mg, 120 mg
aztreonam: 1 g
daptomycin: 350 mg, 500 mg
micafungin: 100 mg
remdesivir: 100 mg
methylprednisolone: 40 mg, 125 mg
ketorolac: 15 mg, 30 mg
morphine: 2 mg, 4 mg
octreotide: 50 mcg, 100 mcg
filgrastim: 300 mcg
acetylcysteine: 100 mg
"""

LONG_ACTING = """
adalimumab: 40 mg
etanercept: 25 mg, 50 mg
secukinumab: 150 mg
ustekinumab: 45 mg, 90 mg
dupilumab: 300 mg
omalizumab: 150 mg
evolocumab: 140 mg
alirocumab: 75 mg
erenumab: 70 mg
epoetin alfa: 4000 units, 10000 units
darbepoetin: 40 mcg, 60 mcg
semaglutide: 0.25 mg, 0.5 mg
dulaglutide: 0.75 mg, 1.5 mg
exenatide: 2 mg
interferon beta: 30 mcg
tocilizumab: 162 mg
cyanocobalamin: 1000 mcg
paliperidone: 78 mg, 156 mg
"""

INHALED = """
albuterol: 1 puff, 2 puffs
ipratropium: 2 puffs
tiotropium: 18 mcg
budesonide: 90 mcg, 180 mcg
fluticasone: 44 mcg, 110 mcg
salmeterol: 50 mcg
formoterol: 12 mcg
beclomethasone: 40 mcg, 80 mcg
mometasone: 100 mcg, 200 mcg
umeclidinium: 62.5 mcg
"""


_ORAL_TIMES = (
    "daily", "once daily", "once a day", "BID", "twice daily", "twice a day", "TID", "three times daily",
    "every morning", "every evening", "at bedtime", "nightly", "every 6 hours", "every 8 hours", "every 12 hours",
    "q6h", "q8h", "q12h", "q24h", "with meals", "before breakfast", "at noon", "QHS", "four times a day",
    "every 4 hours", "after dinner", "as needed", "PRN", "every other day", "with lunch", "each morning", "QID",
)
_INJECTED_TIMES = (
    "daily", "once daily", "q24h", "q12h", "every 12 hours", "every 8 hours", "q8h", "twice daily", "nightly",
    "every morning", "at bedtime", "every 24 hours",
)
_LONG_ACTING_TIMES = (
    "once weekly", "weekly", "every 2 weeks", "every week", "monthly", "every other week", "every 4 weeks",
    "once a month",
)
_INHALED_TIMES = (
    "daily", "twice daily", "BID", "every 4 hours", "every 6 hours", "as needed", "PRN", "q4h", "once daily",
    "every morning", "nightly", "before exercise",
)


def _table(lines, routes, times):
    rows = []
    for line in lines.strip().splitlines():
        name, doses = line.split(": ")
        rows.append((name, tuple(doses.split(", ")), routes, times))
    return tuple(rows)


#: (name, doses, ways to write the route, ways to write the frequency)
DRUGS = (
    _table(ORAL, ("PO", "by mouth", "orally", ""), _ORAL_TIMES)
    + _table(INJECTED, ("IV", "subcut", "by injection"), _INJECTED_TIMES)
    + _table(LONG_ACTING, ("subcut", "by injection"), _LONG_ACTING_TIMES)
    + _table(INHALED, ("inhaled", "via inhaler", "by inhalation"), _INHALED_TIMES)
)
